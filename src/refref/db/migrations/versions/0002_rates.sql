-- Exchange rates. Uploads are numbered per organization and, with their rates, never changed or removed: a later upload
-- supersedes what an earlier one said of the same day and currencies.

create table rate_upload (
  organization_id text collate "C" not null references organization,
  upload_no       integer not null check (upload_no > 0),
  source          text not null check (source in ('bundled', 'ecb', 'csv')), -- bundled: the history RefRef comes with
  file_name       text not null default '',
  file_digest     bytea,            -- SHA-256
  first_day       date not null,
  last_day        date not null check (last_day >= first_day),
  rate_count      integer not null check (rate_count >= changed_count), -- stored: new and changed ones
  changed_count   integer not null check (changed_count >= 0),
  scope_count     integer not null check (scope_count >= 0), -- how many scopes were settled again because of it
  uploaded_by     text not null,    -- as audit_log.actor
  uploaded_at     timestamptz not null,
  primary key (organization_id, upload_no)
);

-- What one whole unit of the source currency costs in the target currency, an exact decimal as it was given.
create table exchange_rate (
  organization_id text collate "C" not null,
  upload_no       integer not null,
  source_currency text collate "C" not null check (source_currency ~ '^[a-z]{3}$'),
  target_currency text collate "C" not null check (target_currency ~ '^[a-z]{3}$' and target_currency <> source_currency),
  day             date not null,
  rate            text collate "C" not null check (rate ~ '^[0-9]{1,12}([.][0-9]{1,12})?$' and rate ~ '[1-9]'),
  primary key (organization_id, upload_no, source_currency, target_currency, day),
  foreign key (organization_id, upload_no) references rate_upload
);

create trigger rate_upload_append_only before update or delete or truncate on rate_upload
  for each statement execute function refuse_change();
create trigger exchange_rate_append_only before update or delete or truncate on exchange_rate
  for each statement execute function refuse_change();

grant select, insert on rate_upload, exchange_rate to refref_app;

do $$ declare t text; begin
  foreach t in array array['rate_upload', 'exchange_rate'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;
