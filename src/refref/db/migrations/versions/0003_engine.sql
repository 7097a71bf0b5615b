-- Rewards of every kind and to whom they go, tiers and caps across customers, a person's reviews, custom events.

-- Rewards: each has its beneficiary, a participant or the referee. paid_minor: of the amount, paid out.
alter table reward add column beneficiary_id text collate "C";
update reward set beneficiary_id = participant_id;
alter table reward alter column beneficiary_id set not null;
alter table reward add column expires_at timestamptz;
alter table reward add column paid_minor bigint not null default 0 check (paid_minor >= 0);
alter table reward drop constraint reward_kind_check;
alter table reward add check (kind in ('commission', 'credit', 'discount', 'feature'));
alter table reward drop constraint reward_status_check;
alter table reward add check (status in ('pending', 'payable', 'held', 'reversed', 'expired', 'paid'));
do $$ declare c text; begin
  select conname into c from pg_constraint where conrelid = 'reward'::regclass and contype = 'u';
  execute format('alter table reward drop constraint %I', c);
end $$;
alter table reward add unique (organization_id, connection_id, payment_key, program_id, rule_id, beneficiary_id);
create index reward_expiring on reward (organization_id, connection_id, expires_at)
  where expires_at is not null and status in ('pending', 'payable', 'held');

alter table ledger_entry drop constraint ledger_entry_kind_check;
alter table ledger_entry add check (kind in ('earn', 'adjust', 'reverse', 'restore', 'mature', 'hold', 'release', 'pay'));

-- Where tiers, caps or checks look at other customers: what a conversion was before they were applied (draft_digest),
-- and that something before it changed since (is_stale), so that it is judged again.
alter table decision add column draft_digest bytea;
alter table decision add column is_stale boolean not null default false;

-- What each conversion adds to the sums that tiers, caps and checks look at. rule_id '': referrals and revenue.
create table tally (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  program_id      text collate "C" not null,
  payment_key     text collate "C" not null,
  rule_id         text collate "C" not null,
  owner_id        text collate "C" not null, -- participant, or the referee who gets the reward
  currency        text collate "C" not null, -- '' for referrals and revenue; 'usd<gbp': counts in USD, converted
  referee_id      text collate "C" not null,
  scope_id        text collate "C" not null,
  occurred_at     bigint not null,           -- seconds, as conversions are ordered
  referrals       integer not null default 0,
  undone          integer not null default 0,
  by_code         integer not null default 0,
  revenue_minor   bigint not null default 0,
  earned_minor    bigint not null default 0,
  primary key (organization_id, connection_id, program_id, payment_key, rule_id, owner_id, currency)
);
create index tally_by_owner on tally (organization_id, program_id, owner_id, occurred_at, payment_key);
create index tally_by_program on tally (organization_id, program_id, occurred_at, payment_key);
create index tally_by_scope on tally (organization_id, connection_id, scope_id);

-- The same by day (days since 1970), so that a sum over a long period reads few rows; owner_id '' is the whole program.
-- A cache that the triggers keep and an invariant re-derives.
create table tally_day (
  organization_id text collate "C" not null,
  program_id      text collate "C" not null,
  owner_id        text collate "C" not null,
  rule_id         text collate "C" not null,
  currency        text collate "C" not null,
  day             integer not null,
  referrals       bigint not null,
  undone          bigint not null,
  by_code         bigint not null,
  revenue_minor   bigint not null,
  earned_minor    bigint not null,
  primary key (organization_id, program_id, owner_id, rule_id, currency, day)
);

create function keep_tally_days() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into tally_day as d
  select t.organization_id, t.program_id, o.owner_id, t.rule_id, t.currency, (t.occurred_at / 86400)::integer,
         sum(s.sign * t.referrals), sum(s.sign * t.undone), sum(s.sign * t.by_code), sum(s.sign * t.revenue_minor),
         sum(s.sign * t.earned_minor)
  from changed t
  cross join (select case tg_op when 'DELETE' then -1 else 1 end as sign) s
  cross join lateral (values (t.owner_id), ('')) as o (owner_id)
  where o.owner_id <> '' or t.rule_id <> ''
  group by 1, 2, 3, 4, 5, 6
  order by 1, 2, 3, 4, 5, 6
  on conflict (organization_id, program_id, owner_id, rule_id, currency, day) do update set
    referrals = d.referrals + excluded.referrals, undone = d.undone + excluded.undone,
    by_code = d.by_code + excluded.by_code, revenue_minor = d.revenue_minor + excluded.revenue_minor,
    earned_minor = d.earned_minor + excluded.earned_minor;
  return null;
end $$;
create trigger tally_added after insert on tally
  referencing new table as changed for each statement execute function keep_tally_days();
create trigger tally_removed after delete on tally
  referencing old table as changed for each statement execute function keep_tally_days();
-- A tally is replaced, never changed; only its scope may move.
create function tally_keeps_its_sums() returns trigger language plpgsql as $$
begin
  raise exception 'a tally is replaced, not changed' using errcode = 'integrity_constraint_violation';
end $$;
create trigger tally_is_replaced before update of program_id, payment_key, rule_id, owner_id, currency, occurred_at,
  referrals, undone, by_code, revenue_minor, earned_minor on tally for each row execute function tally_keeps_its_sums();

-- What a person decided: on one reward (rule_id set), a conversion (rule_id ''), or a referee ('' and the referee's id).
-- Append-only; the latest of a subject holds.
create table review (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  review_id       text collate "C" not null,
  program_id      text collate "C" not null,
  rule_id         text collate "C" not null,
  stripe_id       text collate "C" not null, -- the conversion's key, or the referee
  verdict         text not null check (verdict in ('approved', 'rejected', 'withdrawn')),
  reason          text not null,
  actor           text not null,
  at              timestamptz not null,
  primary key (organization_id, review_id),
  foreign key (organization_id, program_id) references program
);
create index review_by_subject on review (organization_id, connection_id, stripe_id);
create trigger review_append_only before update or delete or truncate on review
  for each statement execute function refuse_change();

-- Connections whose books change by the clock alone: a hold that ended, or a reward that expired.
create or replace function connections_with_due_clock() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where exists (select from reward r where r.organization_id = c.organization_id and r.connection_id = c.connection_id
                and r.status = 'pending' and r.hold_until <= now() + make_interval(secs => c.clock_ahead_s))
     or exists (select from reward r where r.organization_id = c.organization_id and r.connection_id = c.connection_id
                and r.expires_at is not null and r.status in ('pending', 'payable', 'held')
                and r.expires_at <= now() + make_interval(secs => c.clock_ahead_s));
$$;

revoke execute on function keep_tally_days, tally_keeps_its_sums from public;
grant select, insert, update, delete on tally to refref_app;
grant select on tally_day to refref_app;
grant select, insert on review to refref_app;

do $$ declare t text; begin
  foreach t in array array['tally', 'tally_day', 'review'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;
