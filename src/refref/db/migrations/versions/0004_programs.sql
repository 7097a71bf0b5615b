-- Programs grow texts, a history of their status and a draft of their next terms; participants a history of what the
-- merchant says of them. What rules look at is append-only, so that a rebuild finds what held at any instant.

alter table program add column eligibility_text text not null default '';
alter table program add column terms_text text not null default '';

-- program.status is the newest of these. Instants are on the connection's clock.
create table program_status (
  organization_id text collate "C" not null,
  program_id      text collate "C" not null,
  status_no       integer not null check (status_no > 0),
  at              timestamptz not null,
  status          text not null check (status in ('active', 'paused', 'archived')),
  primary key (organization_id, program_id, status_no),
  foreign key (organization_id, program_id) references program
);
insert into program_status (organization_id, program_id, status_no, at, status)
select organization_id, program_id, 1, created_at, 'active' from program;
insert into program_status (organization_id, program_id, status_no, at, status)
select organization_id, program_id, 2, now(), status from program where status <> 'active';

-- The next terms of a program while they are being written: of the right shape, but perhaps not fit to publish.
-- based_on_version: the newest version that the draft knows of (0: there was none).
create table terms_draft (
  organization_id  text collate "C" not null,
  program_id       text collate "C" not null,
  body             jsonb not null,
  based_on_version integer not null check (based_on_version >= 0),
  revision         integer not null check (revision > 0), -- counts the saves
  edited_by        text not null,   -- as audit_log.actor
  edited_at        timestamptz not null,
  primary key (organization_id, program_id),
  foreign key (organization_id, program_id) references program
);

create table participant_profile (
  organization_id text collate "C" not null,
  participant_id  text collate "C" not null,
  since_at        timestamptz not null,
  group_names     text[] not null default '{}',
  country         text not null default '' check (country = '' or country ~ '^[A-Z]{2}$'),
  metadata        jsonb not null default '{}', -- text -> text
  primary key (organization_id, participant_id, since_at),
  foreign key (organization_id, participant_id) references participant
);

create trigger program_status_append_only before update or delete or truncate on program_status
  for each statement execute function refuse_change();
create trigger participant_profile_append_only before update or delete or truncate on participant_profile
  for each statement execute function refuse_change();

grant select, insert on program_status, participant_profile to refref_app;
grant select, insert, update, delete on terms_draft to refref_app;

do $$ declare t text; begin
  foreach t in array array['program_status', 'terms_draft', 'participant_profile'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;
