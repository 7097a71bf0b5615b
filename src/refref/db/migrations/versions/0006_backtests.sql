-- Backtests: draft terms over a program's own history, with what came of it. Nothing in the books refers to them.

-- terms_source: what the terms were when it was asked for (draft, version <n>, given). steps are conversions to go
-- through, for the bar. A running one whose worker is silent is begun again by another.
create table backtest (
  organization_id text collate "C" not null,
  backtest_id     text collate "C" not null,
  program_id      text collate "C" not null,
  connection_id   text collate "C" not null,
  status          text not null default 'waiting'
                    check (status in ('waiting', 'running', 'done', 'failed', 'cancelled')),
  terms_source    text not null,
  terms           jsonb not null,
  effective_at    timestamptz not null,
  created_by      text not null, -- as audit_log.actor
  created_at      timestamptz not null,
  started_at      timestamptz,
  finished_at     timestamptz,
  heartbeat_at    timestamptz,
  attempt         integer not null default 0,
  steps_done      bigint not null default 0,
  steps_total     bigint not null default 0,
  error           text,
  report          jsonb,
  primary key (organization_id, backtest_id),
  foreign key (organization_id, program_id) references program
);
create index backtest_by_program on backtest (organization_id, program_id, backtest_id);

-- What each participant ('' stands for the referred customers themselves) and each product come to, by currency.
create table backtest_line (
  organization_id text collate "C" not null,
  backtest_id     text collate "C" not null,
  kind            text not null check (kind in ('participant', 'product')),
  subject         text collate "C" not null,
  currency        text collate "C" not null,
  booked_minor    bigint not null,
  draft_minor     bigint not null,
  changed         bigint not null, -- conversions
  primary key (organization_id, backtest_id, kind, subject, currency),
  foreign key (organization_id, backtest_id) references backtest on delete cascade
);

grant select, insert, update, delete on backtest to refref_app;
grant select, insert, delete on backtest_line to refref_app;

do $$ declare t text; begin
  foreach t in array array['backtest', 'backtest_line'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;

-- Backtests to work on: those that wait, and those whose worker has been silent for a minute.
create function backtests_due() returns table (organization_id text, backtest_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select b.organization_id, b.backtest_id from backtest b
  where b.status = 'waiting' or (b.status = 'running' and b.heartbeat_at < now() - interval '60 seconds')
  order by b.created_at limit 10;
$$;
revoke all on function backtests_due() from public;
grant execute on function backtests_due() to refref_app;
