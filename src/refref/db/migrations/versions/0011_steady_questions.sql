-- Which balances are new is asked of the balances: comparing those of a batch with each other took time with its square.
-- Both statements see the balances as they were before, and the connection's lock keeps others away.
create or replace function ledger_post(
  p_connection_id text,
  p_entry_ids text[], p_kinds text[], p_reward_ids text[], p_reasons text[],
  p_posting_entry_ids text[], p_posting_nos smallint[], p_currencies text[], p_amounts bigint[],
  p_source_accounts text[], p_source_owners text[], p_destination_accounts text[], p_destination_owners text[]
) returns integer language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_organization_id text := current_setting('app.organization_id');
  v_made integer;
begin
  if v_organization_id = '' then
    raise exception 'app.organization_id is not set' using errcode = 'insufficient_privilege';
  end if;
  if not exists (select from connection where organization_id = v_organization_id and connection_id = p_connection_id) then
    raise exception 'unknown connection %', p_connection_id using errcode = 'foreign_key_violation';
  end if;
  perform pg_advisory_xact_lock(hashtextextended(p_connection_id, 0));
  with made as (
    insert into ledger_entry (organization_id, entry_id, connection_id, kind, reward_id, reason)
    select v_organization_id, e.entry_id, p_connection_id, e.kind, e.reward_id, e.reason
    from unnest(p_entry_ids, p_kinds, p_reward_ids, p_reasons) as e (entry_id, kind, reward_id, reason)
    where exists (select from unnest(p_posting_entry_ids) as p (entry_id) where p.entry_id = e.entry_id)
    on conflict do nothing
    returning entry_id
  ),
  posted as (
    insert into ledger_posting (organization_id, entry_id, posting_no, connection_id, currency, amount_minor,
                                source_account, source_owner, destination_account, destination_owner)
    select v_organization_id, p.entry_id, p.posting_no, p_connection_id, p.currency, p.amount,
           p.source_account, p.source_owner, p.destination_account, p.destination_owner
    from unnest(p_posting_entry_ids, p_posting_nos, p_currencies, p_amounts,
                p_source_accounts, p_source_owners, p_destination_accounts, p_destination_owners)
         as p (entry_id, posting_no, currency, amount, source_account, source_owner, destination_account, destination_owner)
    join made using (entry_id)
    returning currency, amount_minor, source_account, source_owner, destination_account, destination_owner
  ),
  delta as (
    select leg.owner_id, leg.account, posted.currency, sum(leg.amount)::bigint as amount
    from posted, lateral (values (source_owner, source_account, -amount_minor),
                                 (destination_owner, destination_account, amount_minor)) as leg (owner_id, account, amount)
    group by 1, 2, 3
  ),
  changed as (
    update ledger_balance b set balance_minor = b.balance_minor + d.amount
    from delta d
    where b.organization_id = v_organization_id and b.connection_id = p_connection_id
      and b.owner_id = d.owner_id and b.account = d.account and b.currency = d.currency
  ),
  opened as (
    insert into ledger_balance (organization_id, connection_id, owner_id, account, currency, balance_minor)
    select v_organization_id, p_connection_id, d.owner_id, d.account, d.currency, d.amount
    from delta d
    where not exists (select from ledger_balance b
                      where b.organization_id = v_organization_id and b.connection_id = p_connection_id
                        and b.owner_id = d.owner_id and b.account = d.account and b.currency = d.currency)
  )
  select count(*) into v_made from made;
  return v_made;
end $$;

-- The earliest of what waits for the clock stands first in its index. Asked whether any such reward exists, PostgreSQL
-- expects to meet one soon, and reads all of them every second.
drop index reward_expiring;
create index reward_expiring on reward (organization_id, connection_id, expires_at)
  where expires_at is not null and status in ('pending', 'payable', 'held') and paid_minor = 0;
create or replace function connections_with_due_clock() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where (select r.hold_until from reward r where r.organization_id = c.organization_id
           and r.connection_id = c.connection_id and r.status = 'pending' order by r.hold_until limit 1)
          <= now() + make_interval(secs => c.clock_ahead_s)
     or (select r.expires_at from reward r where r.organization_id = c.organization_id
           and r.connection_id = c.connection_id and r.expires_at is not null
           and r.status in ('pending', 'payable', 'held') and r.paid_minor = 0 order by r.expires_at limit 1)
          <= now() + make_interval(secs => c.clock_ahead_s);
$$;

-- As for rewards by scope (0010): of two indexes that look as good for a new table the newer one is taken.
drop index customer_by_scope;
create index customer_by_scope on customer (organization_id, connection_id, scope_id);
drop index tally_by_owner;
create index tally_by_owner on tally (organization_id, program_id, owner_id, occurred_at, payment_key);

-- Rows that add nothing are not added up; a page of sums keeps room for their next state.
alter table tally_day set (fillfactor = 80);
create or replace function keep_tally_days() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into tally_day as d
  select t.organization_id, t.program_id, o.owner_id, t.rule_id, t.currency, (t.occurred_at / 86400)::integer,
         sum(s.sign * t.referrals), sum(s.sign * t.undone), sum(s.sign * t.by_code), sum(s.sign * t.revenue_minor),
         sum(s.sign * t.earned_minor)
  from changed t
  cross join (select case tg_op when 'DELETE' then -1 else 1 end as sign) s
  cross join lateral (values (t.owner_id), ('')) as o (owner_id)
  where (o.owner_id <> '' or t.rule_id <> '')
    and (t.referrals, t.undone, t.by_code, t.revenue_minor, t.earned_minor) <> (0, 0, 0, 0, 0)
  group by 1, 2, 3, 4, 5, 6
  order by 1, 2, 3, 4, 5, 6
  on conflict (organization_id, program_id, owner_id, rule_id, currency, day) do update set
    referrals = d.referrals + excluded.referrals, undone = d.undone + excluded.undone,
    by_code = d.by_code + excluded.by_code, revenue_minor = d.revenue_minor + excluded.revenue_minor,
    earned_minor = d.earned_minor + excluded.earned_minor;
  return null;
end $$;
