-- The first schema. organization_id comes first in every key of a tenant table; reference tables (no tenant key first)
-- map a public code, a webhook path, an API-key prefix or an e-mail to its organization. Key columns collate "C".
-- Two roles: the owner migrates; refref_app (what every process becomes) reads and writes through row-level security.

do $$ begin
  if not exists (select from pg_roles where rolname = 'refref_app') then
    create role refref_app nologin;
  end if;
  execute format('grant refref_app to %I', current_user);
end $$;

grant usage on schema public to refref_app;

-- Reference tables --------------------------------------------------------------------------------------------------

create table organization (
  organization_id text collate "C" primary key,
  name            text not null,
  created_at      timestamptz not null default now()
);

create table user_account (
  user_id         text collate "C" primary key,
  email           text not null,
  name            text not null default '',
  password_hash   text not null,
  created_at      timestamptz not null default now()
);
create unique index user_account_email on user_account (lower(email));

create table membership (
  user_id         text collate "C" not null references user_account,
  organization_id text collate "C" not null references organization,
  role            text not null check (role in ('owner', 'admin', 'viewer')),
  primary key (user_id, organization_id)
);

create table web_session (
  token_hash      bytea primary key,
  user_id         text collate "C" not null references user_account on delete cascade,
  organization_id text collate "C" not null references organization,
  csrf_token      text not null,
  created_at      timestamptz not null default now(),
  expires_at      timestamptz not null
);

create table api_key_prefix (
  prefix          text collate "C" primary key,
  organization_id text collate "C" not null references organization
);

create table webhook_path (
  connection_id   text collate "C" primary key,
  organization_id text collate "C" not null references organization
);

-- Tenant tables: set-up ---------------------------------------------------------------------------------------------

create table api_key (
  organization_id text collate "C" not null references organization,
  api_key_id      text collate "C" not null,
  prefix          text collate "C" not null,
  key_hash        bytea not null,
  name            text not null,
  role            text not null check (role in ('admin', 'viewer')),
  created_at      timestamptz not null default now(),
  revoked_at      timestamptz,
  primary key (organization_id, api_key_id)
);
create index api_key_by_prefix on api_key (organization_id, prefix);

create table connection (
  organization_id   text collate "C" not null references organization,
  connection_id     text collate "C" not null,
  name              text not null,
  mode              text not null check (mode in ('test', 'live')),
  stripe_account_id text collate "C",
  api_base          text,           -- where the Stripe API is reached; null is Stripe itself
  clock_ahead_s     bigint not null default 0 check (clock_ahead_s >= 0 and (mode = 'test' or clock_ahead_s = 0)),
  status            text not null default 'active' check (status in ('active', 'degraded', 'disabled')),
  created_at        timestamptz not null default now(),
  primary key (organization_id, connection_id)
);

create table connection_secret (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  secret_id       text collate "C" not null,
  kind            text not null check (kind in ('webhook', 'api_key')),
  key_id          text not null,    -- which master key encrypted it
  nonce           bytea not null,
  ciphertext      bytea not null,
  hint            text not null,    -- the last four characters, for people
  created_at      timestamptz not null default now(),
  expires_at      timestamptz,      -- a rolled secret stays valid until then
  primary key (organization_id, connection_id, secret_id),
  foreign key (organization_id, connection_id) references connection
);

create table program (
  organization_id text collate "C" not null,
  program_id      text collate "C" not null,
  connection_id   text collate "C" not null,
  name            text not null,
  status          text not null default 'active' check (status in ('active', 'paused', 'archived')),
  created_at      timestamptz not null default now(),
  primary key (organization_id, program_id),
  foreign key (organization_id, connection_id) references connection
);
create index program_by_connection on program (organization_id, connection_id);

create table terms (
  organization_id text collate "C" not null,
  program_id      text collate "C" not null,
  version         integer not null check (version > 0),
  effective_at    timestamptz not null,
  body            jsonb not null,
  created_at      timestamptz not null default now(),
  primary key (organization_id, program_id, version),
  foreign key (organization_id, program_id) references program
);

create table participant (
  organization_id text collate "C" not null,
  participant_id  text collate "C" not null,
  program_id      text collate "C" not null,
  connection_id   text collate "C" not null,
  kind            text not null check (kind in ('referrer', 'affiliate')),
  name            text not null,
  email           text not null,
  status          text not null default 'active' check (status in ('active', 'paused')),
  paused_at       timestamptz check ((paused_at is null) = (status = 'active')), -- since then the codes bind nobody new
  created_at      timestamptz not null default now(),
  primary key (organization_id, participant_id),
  foreign key (organization_id, program_id) references program
);
create unique index participant_email on participant (organization_id, program_id, lower(email));

-- What attributes to a participant: a refcode, or a Stripe promotion code by its id. Codes are stored in lower case.
create table participant_code (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  code            text collate "C" not null,
  code_kind       text not null check (code_kind in ('refcode', 'promotion_code')),
  shown_as        text not null,
  program_id      text collate "C" not null,
  participant_id  text collate "C" not null,
  created_at      timestamptz not null default now(),
  deactivated_at  timestamptz,
  primary key (organization_id, connection_id, code),
  foreign key (organization_id, participant_id) references participant
);
create index participant_code_by_participant on participant_code (organization_id, participant_id);

create table audit_log (
  organization_id text collate "C" not null,
  audit_id        text collate "C" not null,
  at              timestamptz not null default now(),
  actor           text not null,    -- user:usr_…, key:key_…, system
  action          text not null,
  subject         text not null,
  details         jsonb not null default '{}',
  primary key (organization_id, audit_id)
);

create table idempotency_key (
  organization_id text collate "C" not null,
  key             text collate "C" not null,
  request_hash    bytea not null,
  status          integer not null,
  response        bytea not null,
  created_at      timestamptz not null default now(),
  primary key (organization_id, key)
);

-- Tenant tables: intake ---------------------------------------------------------------------------------------------

-- Every event as it arrived; rows are never changed. body: zstd of the raw bytes.
create table stripe_event (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  stripe_event_id text collate "C" not null,
  event_seq       bigint generated always as identity,
  type            text not null,
  object_id       text not null,
  api_version     text,
  livemode        boolean not null,
  state           text not null check (state in ('accepted', 'ignored', 'quarantined')),
  reason          text,             -- why quarantined
  source          text not null check (source in ('webhook', 'poll', 'told')), -- told: by hand or by the API, in our shape
  created_at      timestamptz not null,
  received_at     timestamptz not null default clock_timestamp(),
  body            bytea not null,
  primary key (organization_id, connection_id, stripe_event_id)
);
alter table stripe_event alter column body set storage external; -- already compressed
create index stripe_event_by_seq on stripe_event (organization_id, connection_id, event_seq);

-- The work that is left: a row per event that has not been settled. Done means the row is gone.
create table inbox (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  event_seq       bigint not null,
  state           text not null default 'pending' check (state in ('pending', 'parked')),
  attempts        integer not null default 0,
  due_at          timestamptz not null default '-infinity',
  error_code      text,
  error           text,
  primary key (organization_id, connection_id, event_seq)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

-- What was fetched from Stripe because an event did not carry it, kept so that a replay needs no network. A later event
-- (seen_at) may ask again; every answer is kept.
create table stripe_document (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  need_kind       text collate "C" not null,
  stripe_id       text collate "C" not null,
  body            bytea,            -- zstd of JSON; null: asked, and Stripe has none
  seen_at         bigint not null,  -- of the need
  fetched_at      timestamptz not null default now(),
  primary key (organization_id, connection_id, need_kind, stripe_id, seen_at)
);

-- What an event left open and only Stripe's API can answer (core.facts names the kinds in stripe.reading.NeedKind).
create table open_need (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  need_kind       text collate "C" not null,
  stripe_id       text collate "C" not null,
  seen_at         bigint not null,  -- the asking event's created, seconds
  attempts        integer not null default 0,
  due_at          timestamptz not null,
  error           text,
  primary key (organization_id, connection_id, need_kind, stripe_id)
);

-- Scopes to settle again although no fact changed: a code was added, terms were published.
create table dirty_scope (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  scope_id        text collate "C" not null,
  primary key (organization_id, connection_id, scope_id)
);

-- Codes that sales carried and nobody owns (yet): who adds the code finds the scopes to settle again.
create table unclaimed_code (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  code            text collate "C" not null,
  scope_id        text collate "C" not null,
  primary key (organization_id, connection_id, code, scope_id)
);

-- Which scopes paid with which card: one card in two scopes can unmask a self-referral.
create table card_use (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  fingerprint     text collate "C" not null,
  scope_id        text collate "C" not null,
  primary key (organization_id, connection_id, fingerprint, scope_id)
);
create index card_use_by_scope on card_use (organization_id, connection_id, scope_id);

-- Tenant tables: books ----------------------------------------------------------------------------------------------

-- One row per Stripe object; body is core.facts.Fact. scope_id: the group (a customer, or a guest's sale) it belongs to.
create table fact (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  stripe_id       text collate "C" not null,
  scope_id        text collate "C" not null,
  kind            text not null,
  body            bytea not null,
  event_seq       bigint,           -- the event that last changed it; null: fetched or told by hand
  primary key (organization_id, connection_id, stripe_id)
);
create index fact_by_scope on fact (organization_id, connection_id, scope_id);

-- What the customers page lists; a projection of facts.
create table customer (
  organization_id    text collate "C" not null,
  connection_id      text collate "C" not null,
  stripe_customer_id text collate "C" not null,
  scope_id           text collate "C" not null,
  email              text,
  name               text,
  created_at         timestamptz,
  is_deleted         boolean not null default false,
  primary key (organization_id, connection_id, stripe_customer_id)
);
create index customer_by_scope on customer (organization_id, connection_id, scope_id);
create index customer_by_email on customer (organization_id, connection_id, lower(email));

-- The bond of a referee (a customer, or a guest's scope) to a participant.
create table referral (
  organization_id text collate "C" not null,
  referral_id     text collate "C" not null,
  connection_id   text collate "C" not null,
  program_id      text collate "C" not null,
  referee_id      text collate "C" not null,  -- cus_…, or the scope of a guest
  scope_id        text collate "C" not null,
  participant_id  text collate "C" not null,
  carrier_kind    text not null,
  carrier_value   text not null,
  campaign        text not null default '',
  status          text not null check (status in ('active', 'flagged', 'undone')),
  bound_at        timestamptz not null,
  created_at      timestamptz not null default now(),
  primary key (organization_id, referral_id),
  unique (organization_id, connection_id, program_id, referee_id)
);
create index referral_by_scope on referral (organization_id, connection_id, scope_id);
create index referral_by_participant on referral (organization_id, participant_id);

-- The stored explanation of each payment in each program (program_id '' when no program is concerned).
create table decision (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  payment_key     text collate "C" not null,
  program_id      text collate "C" not null,
  scope_id        text collate "C" not null,
  referee_id      text collate "C" not null,
  participant_id  text collate "C",
  outcome         text not null check (outcome in ('rewarded', 'refused', 'waiting')),
  reason          text,             -- stable code, set unless rewarded
  occurred_at     timestamptz not null,
  currency        text collate "C" not null,
  paid_minor      bigint not null,
  base_minor      bigint not null,
  refunded_minor  bigint not null,
  earned_minor    bigint not null,
  reversed_minor  bigint not null,
  digest          bytea not null,
  body            bytea not null,   -- core.decisions.Decision
  primary key (organization_id, connection_id, payment_key, program_id)
);
create index decision_by_scope on decision (organization_id, connection_id, scope_id);
create index decision_by_time on decision using brin (occurred_at) with (pages_per_range = 32, autosummarize = on);

-- What somebody earned from one rule on one payment: the present state; every change of it is a ledger entry.
create table reward (
  organization_id text collate "C" not null,
  reward_id       text collate "C" not null,
  connection_id   text collate "C" not null,
  program_id      text collate "C" not null,
  participant_id  text collate "C" not null,
  payment_key     text collate "C" not null,
  rule_id         text collate "C" not null,
  referee_id      text collate "C" not null,
  scope_id        text collate "C" not null,
  terms_version   integer not null,
  kind            text not null check (kind in ('commission')),
  status          text not null check (status in ('pending', 'payable', 'held', 'reversed')),
  currency        text collate "C" not null,
  amount_minor    bigint not null check (amount_minor >= 0),
  reversed_minor  bigint not null default 0 check (reversed_minor between 0 and amount_minor),
  occurred_at     timestamptz not null,
  hold_until      timestamptz not null,
  entry_count     integer not null,
  created_at      timestamptz not null default now(),
  primary key (organization_id, reward_id),
  unique (organization_id, connection_id, payment_key, program_id, rule_id, participant_id)
);
create index reward_by_scope on reward (organization_id, connection_id, scope_id);
create index reward_maturing on reward (organization_id, connection_id, hold_until) where status = 'pending';
create index reward_by_time on reward using brin (occurred_at) with (pages_per_range = 32, autosummarize = on);

-- Tenant tables: ledger ---------------------------------------------------------------------------------------------

-- One balanced movement. entry_id is its cause (what made it, and the how-manieth of its kind): posting a cause twice
-- is the same entry. created_xid binds its postings to the transaction that made it.
create table ledger_entry (
  organization_id text collate "C" not null,
  entry_id        text collate "C" not null,
  connection_id   text collate "C" not null,
  kind            text not null check (kind in ('earn', 'adjust', 'reverse', 'restore', 'mature', 'hold', 'release')),
  reward_id       text collate "C" not null,
  reason          text not null,
  posted_at       timestamptz not null default now(),
  created_xid     xid8 not null default pg_current_xact_id(),
  primary key (organization_id, entry_id)
);

-- A posting moves a positive amount of one currency from a source to a destination, so every entry sums to zero in
-- every currency by its shape.
create table ledger_posting (
  organization_id     text collate "C" not null,
  entry_id            text collate "C" not null,
  posting_no          smallint not null,
  connection_id       text collate "C" not null,
  currency            text collate "C" not null check (currency ~ '^[a-z]{3}$'),
  amount_minor        bigint not null check (amount_minor > 0),
  source_account      text not null,
  source_owner        text collate "C" not null,
  destination_account text not null,
  destination_owner   text collate "C" not null,
  primary key (organization_id, entry_id, posting_no),
  check ((source_account, source_owner) <> (destination_account, destination_owner))
);

-- The running sums of ledger_posting; a cache that ledger_post keeps and an invariant re-derives.
create table ledger_balance (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  owner_id        text collate "C" not null, -- participant, or program for expense
  account         text collate "C" not null
    check (account in ('expense', 'pending', 'payable', 'in_transit', 'paid', 'held', 'credit', 'fx', 'suspense')),
  currency        text collate "C" not null,
  balance_minor   bigint not null,
  primary key (organization_id, connection_id, owner_id, account, currency),
  constraint only_payable_may_be_negative check (balance_minor >= 0 or account in ('payable', 'expense', 'fx', 'suspense'))
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is append-only: % on % is refused; post a correcting entry', tg_op, tg_table_name
    using errcode = 'integrity_constraint_violation';
end $$;

create trigger ledger_entry_append_only before update or delete or truncate on ledger_entry
  for each statement execute function refuse_change();
create trigger ledger_posting_append_only before update or delete or truncate on ledger_posting
  for each statement execute function refuse_change();
alter table ledger_entry enable always trigger ledger_entry_append_only;
alter table ledger_posting enable always trigger ledger_posting_append_only;

create trigger stripe_event_append_only before update or truncate on stripe_event
  for each statement execute function refuse_change();

create function postings_belong_to_this_transaction() returns trigger language plpgsql as $$
begin
  if exists (
    select from added a
    left join ledger_entry e on e.organization_id = a.organization_id and e.entry_id = a.entry_id
    where e.created_xid is distinct from pg_current_xact_id() or e.connection_id <> a.connection_id
  ) then
    raise exception 'a posting must be made in the transaction that made its entry'
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;

create trigger ledger_posting_bound after insert on ledger_posting
  referencing new table as added for each statement execute function postings_belong_to_this_transaction();
alter table ledger_posting enable always trigger ledger_posting_bound;

create function entry_is_made_now() returns trigger language plpgsql as $$
begin
  if exists (select from added where created_xid is distinct from pg_current_xact_id()) then
    raise exception 'an entry carries the transaction that made it' using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;

create trigger ledger_entry_bound after insert on ledger_entry
  referencing new table as added for each statement execute function entry_is_made_now();
alter table ledger_entry enable always trigger ledger_entry_bound;

-- The only way into the ledger. Parallel arrays: entries, then postings that name their entry. Entries whose cause is
-- known are skipped with their postings. Returns how many entries are new.
create function ledger_post(
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
    returning b.owner_id, b.account, b.currency
  ),
  opened as (
    insert into ledger_balance (organization_id, connection_id, owner_id, account, currency, balance_minor)
    select v_organization_id, p_connection_id, d.owner_id, d.account, d.currency, d.amount
    from delta d
    where not exists (select from changed c
                      where c.owner_id = d.owner_id and c.account = d.account and c.currency = d.currency)
  )
  select count(*) into v_made from made;
  return v_made;
end $$;

-- Intake: many connections' events in one statement, so it runs as the owner; it can only add, never read or change.
-- Returns how many were new. Arrays are parallel.
create function inbox_accept(
  p_organization_ids text[], p_connection_ids text[], p_event_ids text[], p_types text[], p_object_ids text[],
  p_api_versions text[], p_livemodes boolean[], p_states text[], p_reasons text[], p_sources text[],
  p_created_ats bigint[], p_bodies bytea[]
) returns integer language sql security definer set search_path = public, pg_temp as $$
  with stored as (
    insert into stripe_event (organization_id, connection_id, stripe_event_id, type, object_id, api_version, livemode,
                              state, reason, source, created_at, body)
    select e.organization_id, e.connection_id, e.event_id, e.type, e.object_id, e.api_version, e.livemode,
           e.state, e.reason, e.source, to_timestamp(e.created_at), e.body
    from unnest(p_organization_ids, p_connection_ids, p_event_ids, p_types, p_object_ids, p_api_versions, p_livemodes,
                p_states, p_reasons, p_sources, p_created_ats, p_bodies)
         as e (organization_id, connection_id, event_id, type, object_id, api_version, livemode,
               state, reason, source, created_at, body)
    on conflict do nothing
    returning organization_id, connection_id, event_seq, state
  ),
  queued as (
    insert into inbox (organization_id, connection_id, event_seq)
    select organization_id, connection_id, event_seq from stored where state = 'accepted'
  )
  select count(*)::integer from stored;
$$;

-- The pump's first question: which connection has the oldest due work that no other pump holds? Takes that
-- connection's lock until the transaction ends (one writer of a connection's books at a time) and enters its tenant.
create function inbox_claim_connection()
returns table (organization_id text, connection_id text, clock_ahead_s bigint, has_dirty_scopes boolean)
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v record;
begin
  for v in
    select c.organization_id, c.connection_id, c.clock_ahead_s, is_dirty
    from connection c
    left join lateral (select i.event_seq from inbox i
                       where i.organization_id = c.organization_id and i.connection_id = c.connection_id
                         and i.state = 'pending' and i.due_at <= now()
                       order by i.event_seq limit 1) oldest on true
    cross join lateral (select exists (select from dirty_scope d where d.organization_id = c.organization_id
                                       and d.connection_id = c.connection_id) as is_dirty) dirty
    where oldest.event_seq is not null or is_dirty
    order by oldest.event_seq nulls first -- a busy connection does not starve the others
  loop
    if pg_try_advisory_xact_lock(hashtextextended(v.connection_id, 0)) then
      organization_id := v.organization_id;
      connection_id := v.connection_id;
      clock_ahead_s := v.clock_ahead_s;
      has_dirty_scopes := v.is_dirty;
      perform set_config('app.organization_id', v.organization_id, true);
      return next;
      return;
    end if;
  end loop;
end $$;

-- Connections whose books change by the clock alone: a hold that ended.
create function connections_with_due_clock() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where exists (select from reward r where r.organization_id = c.organization_id and r.connection_id = c.connection_id
                and r.status = 'pending' and r.hold_until <= now() + make_interval(secs => c.clock_ahead_s));
$$;

-- Connections whose open needs are due, for those that have an API key.
create function connections_with_due_needs() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where c.status = 'active'
    and exists (select from open_need n where n.organization_id = c.organization_id and n.connection_id = c.connection_id
                and n.due_at <= now())
    and exists (select from connection_secret s where s.organization_id = c.organization_id
                and s.connection_id = c.connection_id and s.kind = 'api_key');
$$;

-- Intake's cache: every webhook path with its signing secrets, still encrypted.
create function webhook_secrets(p_connection_id text)
returns table (organization_id text, mode text, stripe_account_id text, secret_id text, key_id text, nonce bytea,
               ciphertext bytea, expires_at timestamptz)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.mode, c.stripe_account_id, s.secret_id, s.key_id, s.nonce, s.ciphertext, s.expires_at
  from webhook_path p
  join connection c on c.organization_id = p.organization_id and c.connection_id = p.connection_id
  left join connection_secret s on s.organization_id = c.organization_id and s.connection_id = c.connection_id
       and s.kind = 'webhook' and (s.expires_at is null or s.expires_at > now())
  where p.connection_id = p_connection_id;
$$;

-- Rights and walls --------------------------------------------------------------------------------------------------

revoke execute on all functions in schema public from public;
grant execute on function ledger_post, inbox_accept, inbox_claim_connection, connections_with_due_clock,
  connections_with_due_needs, webhook_secrets
  to refref_app;

grant select, insert, update, delete on organization, user_account, membership, web_session, api_key_prefix, webhook_path,
  api_key, connection, connection_secret, program, participant, participant_code, idempotency_key, inbox,
  stripe_document, open_need, dirty_scope, unclaimed_code, card_use, fact, customer, referral, decision, reward to refref_app;
grant select, insert on terms, audit_log to refref_app;
grant select on stripe_event, ledger_entry, ledger_posting, ledger_balance to refref_app;

do $$ declare t text; begin
  foreach t in array array['api_key', 'connection', 'connection_secret', 'program', 'terms', 'participant',
    'participant_code', 'audit_log', 'idempotency_key', 'stripe_event', 'inbox', 'stripe_document', 'open_need',
    'dirty_scope', 'unclaimed_code', 'card_use', 'fact', 'customer', 'referral', 'decision', 'reward', 'ledger_entry', 'ledger_posting', 'ledger_balance']
  loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;
