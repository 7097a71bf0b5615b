-- How a connection reaches Stripe, what is wrong with it, OAuth, and the events that a platform hears.

-- access: with a key of its own, or with the platform's key and the account's id, as far as oauth_scope goes.
-- check_at: when the worker asks Stripe next whether calls still work. event_version: of the newest event.
alter table connection
  add column access text not null default 'key' check (access in ('key', 'platform')),
  add column oauth_scope text check (oauth_scope in ('read_only', 'read_write')),
  add column check_at timestamptz not null default now() + interval '15 minutes',
  add column event_version text,
  add check (access = 'key' or stripe_account_id is not null);

-- The endpoint whose deliveries a signing secret signs, where RefRef made it; null for a secret that was given.
alter table connection_secret add column stripe_endpoint_id text collate "C";

-- What is or was wrong with a connection (core.connection_health); open while ended_at is null, one row per code then.
create table connection_problem (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  code            text collate "C" not null,
  began_at        timestamptz not null,
  detail          text not null,
  ended_at        timestamptz,
  mailed_at       timestamptz,
  primary key (organization_id, connection_id, code, began_at),
  foreign key (organization_id, connection_id) references connection
);
create unique index connection_problem_open on connection_problem (organization_id, connection_id, code)
  where ended_at is null;

-- What a person or the worker saw last: the permissions of the key, the webhook endpoint. For pages; nothing depends on it.
create table connection_check (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  kind            text not null check (kind in ('permissions', 'endpoint')),
  checked_at      timestamptz not null,
  body            jsonb not null,
  primary key (organization_id, connection_id, kind),
  foreign key (organization_id, connection_id) references connection
);

-- A person who was sent to Stripe to connect an account. The state is kept as its hash, is good once, and only in the
-- browser session that asked.
create table oauth_attempt (
  organization_id text collate "C" not null,
  state_hash      bytea not null,
  session_hash    bytea not null,
  user_id         text collate "C" not null,
  mode            text not null check (mode in ('test', 'live')),
  scope           text not null check (scope in ('read_only', 'read_write')),
  created_at      timestamptz not null,
  expires_at      timestamptz not null,
  used_at         timestamptz,
  primary key (organization_id, state_hash)
);

-- Reference tables: whose account it is that an event of the platform's endpoint names, and events of accounts that
-- nobody has connected; they wait there should somebody do so.
create table connected_account (
  stripe_account_id text collate "C" not null,
  mode              text not null check (mode in ('test', 'live')),
  connection_id     text collate "C" not null,
  organization_id   text collate "C" not null references organization,
  primary key (stripe_account_id, mode, connection_id)
);
create table platform_event (
  mode              text not null check (mode in ('test', 'live')),
  stripe_account_id text collate "C" not null, -- '' for the platform's own
  stripe_event_id   text collate "C" not null,
  type              text not null,
  object_id         text not null,
  api_version       text,
  created_at        timestamptz not null,
  received_at       timestamptz not null default clock_timestamp(),
  body              bytea not null,
  primary key (mode, stripe_account_id, stripe_event_id)
);

-- Connections whose open needs are due, for those that can call Stripe.
create or replace function connections_with_due_needs() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where c.status = 'active'
    and exists (select from open_need n where n.organization_id = c.organization_id and n.connection_id = c.connection_id
                and n.due_at <= now())
    and (c.access = 'platform'
         or exists (select from connection_secret s where s.organization_id = c.organization_id
                    and s.connection_id = c.connection_id and s.kind = 'api_key'));
$$;

-- Connections that Stripe is to be asked about; a disabled one is let be.
create function connections_to_check() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where c.status <> 'disabled' and c.check_at <= now()
    and (c.access = 'platform'
         or exists (select from connection_secret s where s.organization_id = c.organization_id
                    and s.connection_id = c.connection_id and s.kind = 'api_key'))
  order by c.check_at limit 50;
$$;

-- Organizations with problems that nobody was told of by mail.
create function organizations_to_mail() returns table (organization_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select distinct p.organization_id from connection_problem p where p.mailed_at is null and p.ended_at is null;
$$;

revoke execute on function connections_to_check, organizations_to_mail from public;
grant execute on function connections_to_check, organizations_to_mail to refref_app;
grant select, insert, update, delete on connection_problem, connection_check, oauth_attempt, connected_account,
  platform_event to refref_app;

do $$ declare t text; begin
  foreach t in array array['connection_problem', 'connection_check', 'oauth_attempt'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;
