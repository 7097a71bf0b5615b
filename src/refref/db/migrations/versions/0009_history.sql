-- What is read from Stripe's lists: the history at connect (backfill), comparisons with the books (reconcile), monthly
-- statements; and the events list, where it stands in for webhooks or looks after them.

-- backfill, reconcile: an object of one of Stripe's lists, stored in our own envelope when it told something new.
alter table stripe_event drop constraint stripe_event_source_check;
alter table stripe_event add constraint stripe_event_source_check
  check (source in ('webhook', 'poll', 'told', 'backfill', 'reconcile'));

-- One reading. from_at null: from the beginning; half-open, by the connection's clock. claim: which taking of the job
-- may write; a running one whose worker is silent is taken by another, which goes on from the parts' cursors.
create table history_run (
  organization_id text collate "C" not null,
  run_id          text collate "C" not null,
  connection_id   text collate "C" not null,
  kind            text not null check (kind in ('backfill', 'reconcile', 'statement')),
  status          text not null default 'waiting'
                    check (status in ('waiting', 'running', 'done', 'failed', 'cancelled')),
  from_at         timestamptz,
  until_at        timestamptz not null,
  created_by      text not null, -- as audit_log.actor
  created_at      timestamptz not null default clock_timestamp(),
  started_at      timestamptz,
  finished_at     timestamptz,
  heartbeat_at    timestamptz,
  due_at          timestamptz not null default '-infinity',
  claim           integer not null default 0,
  attempts        integer not null default 0, -- failures in a row
  error           text,
  primary key (organization_id, run_id),
  foreign key (organization_id, connection_id) references connection
);
create index history_run_by_connection on history_run (organization_id, connection_id, kind, run_id);
create unique index history_run_one_at_a_time on history_run (organization_id, connection_id, kind)
  where status in ('waiting', 'running');

-- One list of a reading, in order of place. cursor_id: the last object of the page that was stored last, in the same
-- transaction. newest_at, oldest_at, reached_at: seconds since 1970, for the estimate. gap_count: objects that told
-- something new; stored_count: how many of them are in the inbox; skipped: why the list was left out.
create table history_part (
  organization_id text collate "C" not null,
  run_id          text collate "C" not null,
  part            text collate "C" not null,
  place           smallint not null,
  cursor_id       text collate "C" not null default '',
  read_count      bigint not null default 0,
  gap_count       bigint not null default 0,
  stored_count    bigint not null default 0,
  newest_at       bigint,
  oldest_at       bigint,
  reached_at      bigint,
  is_done         boolean not null default false,
  skipped         text,
  primary key (organization_id, run_id, part),
  foreign key (organization_id, run_id) references history_run on delete cascade
);

-- What a reconciliation found that the books did not have: the first thousand of each.
create table history_gap (
  organization_id text collate "C" not null,
  run_id          text collate "C" not null,
  stripe_id       text collate "C" not null,
  part            text not null,
  detail          text not null,
  primary key (organization_id, run_id, stripe_id),
  foreign key (organization_id, run_id) references history_run on delete cascade
);

-- The events list. is_intake: it stands in for webhooks; else it looks after them. cursor_at: all events made before it
-- are stored.
create table event_poll (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  is_intake       boolean not null default false,
  cursor_at       bigint,
  due_at          timestamptz not null default '-infinity',
  checked_at      timestamptz,
  read_count      bigint not null default 0,
  new_count       bigint not null default 0,
  missed_at       timestamptz,  -- when an event was last found that no webhook had brought
  attempts        integer not null default 0,
  error           text,
  primary key (organization_id, connection_id),
  foreign key (organization_id, connection_id) references connection
);

-- Every payment of a month in exactly one class, as it stood when the statement was made.
create table statement_payment (
  organization_id text collate "C" not null,
  run_id          text collate "C" not null,
  payment_key     text collate "C" not null,
  class           text not null
                    check (class in ('rewarded', 'reversed', 'waiting', 'excluded', 'not_attributed')),
  reason          text not null default '',
  occurred_at     timestamptz not null,
  referee_id      text not null,
  currency        text collate "C" not null,
  paid_minor      bigint not null,
  refunded_minor  bigint not null,
  primary key (organization_id, run_id, payment_key),
  foreign key (organization_id, run_id) references history_run on delete cascade
);

-- Every movement of Stripe's balance in the month. payment_key '': no payment of the books explains it.
create table statement_movement (
  organization_id text collate "C" not null,
  run_id          text collate "C" not null,
  stripe_id       text collate "C" not null,
  type            text not null,
  is_sale         boolean not null, -- money of payments; payouts, fees and transfers are not
  source_id       text not null,
  payment_key     text not null,
  currency        text collate "C" not null,
  amount_minor    bigint not null,
  fee_minor       bigint not null,
  created_at      timestamptz not null,
  primary key (organization_id, run_id, stripe_id),
  foreign key (organization_id, run_id) references history_run on delete cascade
);

grant select, insert, update, delete on history_run, history_part, event_poll to refref_app;
grant select, insert, delete on history_gap, statement_payment, statement_movement to refref_app;

do $$ declare t text; begin
  foreach t in array array['history_run', 'history_part', 'history_gap', 'event_poll', 'statement_payment',
    'statement_movement'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;

-- Readings to work on: those that wait, those that are due again, and those whose worker has been silent for a minute.
create function history_runs_due() returns table (organization_id text, run_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select r.organization_id, r.run_id from history_run r
  where r.due_at <= now()
    and (r.status = 'waiting' or (r.status = 'running' and r.heartbeat_at < now() - interval '60 seconds'))
  order by r.created_at limit 10;
$$;

-- Connections whose events list is to be read now; only those with an API key can.
create function event_polls_due() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  left join event_poll p on p.organization_id = c.organization_id and p.connection_id = c.connection_id
  where c.status = 'active' and coalesce(p.due_at, '-infinity') <= now()
    and (c.access = 'platform'
         or exists (select from connection_secret s where s.organization_id = c.organization_id
                    and s.connection_id = c.connection_id and s.kind = 'api_key'));
$$;

-- Connections whose nightly comparison is due: none was begun for p_every_s seconds, and the connection is as old.
create function reconciliations_due(p_every_s integer) returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where c.status = 'active' and c.created_at < now() - make_interval(secs => p_every_s)
    and (c.access = 'platform'
         or exists (select from connection_secret s where s.organization_id = c.organization_id
                    and s.connection_id = c.connection_id and s.kind = 'api_key'))
    and not exists (select from history_run r where r.organization_id = c.organization_id
                    and r.connection_id = c.connection_id and r.kind = 'reconcile'
                    and r.created_at > now() - make_interval(secs => p_every_s));
$$;

revoke execute on function history_runs_due, event_polls_due, reconciliations_due from public;
grant execute on function history_runs_due, event_polls_due, reconciliations_due to refref_app;
