-- What waits for a person and what a check found, where lists can ask for it; payouts made by hand; network addresses
-- as keyed hashes.

-- Why a held reward waits for a person (core.decisions.HOLDS); none where a dispute alone holds it.
alter table reward add column holds text[] not null default '{}';
create index reward_waiting on reward (organization_id, connection_id, occurred_at)
  where status = 'held' and holds <> '{}';
-- Checks against fraud that found something.
alter table decision add column flags text[] not null default '{}';
create index decision_flagged on decision (organization_id, connection_id, referee_id) where flags <> '{}';
-- Every decision is written anew, so that the columns say what it says.
update decision set digest = '' where program_id <> '';
update decision set is_stale = true where draft_digest is not null;
insert into dirty_scope select distinct organization_id, connection_id, scope_id from decision where program_id <> ''
  on conflict do nothing;

-- A conversion's key is an object's id, or begins with one: `sub_…/trial_started`.
drop index review_by_subject;
create index review_by_object on review (organization_id, connection_id, split_part(stripe_id, '/', 1));

alter table ledger_entry drop constraint ledger_entry_kind_check;
alter table ledger_entry add check
  (kind in ('earn', 'adjust', 'reverse', 'restore', 'mature', 'hold', 'release', 'pay', 'unpay'));

-- A payment that the merchant made by other means than RefRef, as told by a person. Append-only, as what follows.
create table payout (
  organization_id text collate "C" not null,
  payout_id       text collate "C" not null,
  connection_id   text collate "C" not null,
  participant_id  text collate "C" not null,
  currency        text collate "C" not null check (currency ~ '^[a-z]{3}$'),
  amount_minor    bigint not null check (amount_minor > 0),
  paid_on         date not null,
  reference       text not null,
  note            text not null,
  actor           text not null,    -- as audit_log.actor
  at              timestamptz not null,
  primary key (organization_id, payout_id),
  foreign key (organization_id, participant_id) references participant
);
create index payout_by_participant on payout (organization_id, participant_id, payout_id);

-- What a payout is made up of: whole rewards, and (negative) what had gone back of rewards paid before.
create table payout_item (
  organization_id text collate "C" not null,
  payout_id       text collate "C" not null,
  reward_id       text collate "C" not null,
  entry_id        text collate "C" not null,
  amount_minor    bigint not null check (amount_minor <> 0),
  primary key (organization_id, payout_id, reward_id),
  foreign key (organization_id, payout_id) references payout,
  foreign key (organization_id, reward_id) references reward
);
create index payout_item_by_reward on payout_item (organization_id, reward_id, payout_id);

create table payout_undoing (
  organization_id text collate "C" not null,
  payout_id       text collate "C" not null,
  reason          text not null,
  actor           text not null,
  at              timestamptz not null,
  primary key (organization_id, payout_id),
  foreign key (organization_id, payout_id) references payout
);

-- Addresses from which a participant was seen, each as a keyed hash. The key rests among the connection's secrets.
create table participant_ip (
  organization_id text collate "C" not null,
  participant_id  text collate "C" not null,
  ip_hash         text collate "C" not null,
  seen_at         timestamptz not null,
  primary key (organization_id, participant_id, ip_hash),
  foreign key (organization_id, participant_id) references participant
);
alter table connection_secret drop constraint connection_secret_kind_check;
alter table connection_secret add check (kind in ('webhook', 'api_key', 'ip_hash'));

-- Which list of throw-away mail services the books of a connection go by.
alter table connection add column mail_list text not null default '';
create function connections_with_other_mail_list(p_mail_list text)
returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c where c.mail_list <> p_mail_list;
$$;

-- A reward that was paid out in time does not expire.
create or replace function connections_with_due_clock() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where exists (select from reward r where r.organization_id = c.organization_id and r.connection_id = c.connection_id
                and r.status = 'pending' and r.hold_until <= now() + make_interval(secs => c.clock_ahead_s))
     or exists (select from reward r where r.organization_id = c.organization_id and r.connection_id = c.connection_id
                and r.expires_at is not null and r.status in ('pending', 'payable', 'held') and r.paid_minor = 0
                and r.expires_at <= now() + make_interval(secs => c.clock_ahead_s));
$$;

create trigger payout_append_only before update or delete or truncate on payout
  for each statement execute function refuse_change();
create trigger payout_item_append_only before update or delete or truncate on payout_item
  for each statement execute function refuse_change();
create trigger payout_undoing_append_only before update or delete or truncate on payout_undoing
  for each statement execute function refuse_change();

revoke execute on function connections_with_other_mail_list from public;
grant execute on function connections_with_other_mail_list to refref_app;
grant select, insert on payout, payout_item, payout_undoing, participant_ip to refref_app;

do $$ declare t text; begin
  foreach t in array array['payout', 'payout_item', 'payout_undoing', 'participant_ip'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;
