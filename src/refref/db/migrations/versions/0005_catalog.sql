-- Custom events: which Stripe types the terms of a connection's programs name, and how far stored events of the type
-- were read again since. The catalogue: what a Stripe account sells, for people and pickers; no book depends on it.

-- customer_path '': the object's customer. A row is made with the terms that name it and stays.
create table custom_event_type (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  stripe_type     text collate "C" not null,
  customer_path   text collate "C" not null,
  asked_at        timestamptz not null default clock_timestamp(),
  cursor_seq      bigint not null default 0,      -- stored events up to this one were put back to work
  is_read         boolean not null default false, -- nothing that came before the terms is left to read
  primary key (organization_id, connection_id, stripe_type, customer_path),
  foreign key (organization_id, connection_id) references connection
);
insert into custom_event_type (organization_id, connection_id, stripe_type, customer_path)
select distinct t.organization_id, p.connection_id, s.stripe_type, coalesce(e.event -> 'custom' ->> 'customer_path', '')
from terms t
join program p on p.organization_id = t.organization_id and p.program_id = t.program_id
cross join lateral jsonb_array_elements(coalesce(t.body -> 'events', '[]')) as e (event)
cross join lateral jsonb_array_elements_text(e.event -> 'custom' -> 'stripe_types') as s (stripe_type)
where jsonb_typeof(e.event -> 'custom') = 'object';

-- Intake, as before; and an event of a type that only custom events ask for is work, too. The table is asked in the
-- statement that stores the event, so that no cache can be too old.
create or replace function inbox_accept(
  p_organization_ids text[], p_connection_ids text[], p_event_ids text[], p_types text[], p_object_ids text[],
  p_api_versions text[], p_livemodes boolean[], p_states text[], p_reasons text[], p_sources text[],
  p_created_ats bigint[], p_bodies bytea[]
) returns integer language sql security definer set search_path = public, pg_temp as $$
  with stored as (
    insert into stripe_event (organization_id, connection_id, stripe_event_id, type, object_id, api_version, livemode,
                              state, reason, source, created_at, body)
    select e.organization_id, e.connection_id, e.event_id, e.type, e.object_id, e.api_version, e.livemode,
           case when e.state = 'ignored' and exists (
             select from custom_event_type c where c.organization_id = e.organization_id
               and c.connection_id = e.connection_id and c.stripe_type = e.type
           ) then 'accepted' else e.state end,
           e.reason, e.source, to_timestamp(e.created_at), e.body
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

-- Connections with stored events to read again.
create function connections_to_read_again() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select distinct c.organization_id, c.connection_id from custom_event_type c where not c.is_read;
$$;

-- The catalogue. seen_at: the instant of the event or of the reading that told it, in seconds; an older one changes
-- nothing. What Stripe no longer has keeps its row, with deleted_at.
create table catalog_product (
  organization_id   text collate "C" not null,
  connection_id     text collate "C" not null,
  stripe_product_id text collate "C" not null,
  name              text not null,
  description       text not null,
  image_url         text not null,
  is_active         boolean not null,
  seen_at           bigint not null,
  deleted_at        timestamptz,
  primary key (organization_id, connection_id, stripe_product_id),
  foreign key (organization_id, connection_id) references connection
);

-- unit_amount null: tiers, or the buyer's choice. unit_amount_decimal: exact, where a unit costs parts of a minor unit.
create table catalog_price (
  organization_id     text collate "C" not null,
  connection_id       text collate "C" not null,
  stripe_price_id     text collate "C" not null,
  stripe_product_id   text collate "C" not null,
  nickname            text not null,
  lookup_key          text not null,
  currency            text collate "C" not null,
  unit_amount_minor   bigint,
  unit_amount_decimal text not null,
  billing_scheme      text not null,
  billing_interval    text not null check (billing_interval in ('', 'day', 'week', 'month', 'year')), -- '' for one-off
  interval_count      integer not null,
  is_active           boolean not null,
  seen_at             bigint not null,
  deleted_at          timestamptz,
  primary key (organization_id, connection_id, stripe_price_id),
  foreign key (organization_id, connection_id) references connection
);
create index catalog_price_by_product on catalog_price (organization_id, connection_id, stripe_product_id);

create table catalog_coupon (
  organization_id    text collate "C" not null,
  connection_id      text collate "C" not null,
  stripe_coupon_id   text collate "C" not null,
  name               text not null,
  percent_off_bps    integer,
  amount_off_minor   bigint,
  currency           text collate "C" not null, -- of amount_off; else ''
  duration           text not null,             -- once, repeating, forever
  duration_in_months integer,
  is_active          boolean not null,
  seen_at            bigint not null,
  deleted_at         timestamptz,
  primary key (organization_id, connection_id, stripe_coupon_id),
  foreign key (organization_id, connection_id) references connection
);

create table catalog_promotion_code (
  organization_id          text collate "C" not null,
  connection_id            text collate "C" not null,
  stripe_promotion_code_id text collate "C" not null,
  code                     text not null,
  stripe_coupon_id         text collate "C" not null,
  is_active                boolean not null,
  seen_at                  bigint not null,
  deleted_at               timestamptz,
  primary key (organization_id, connection_id, stripe_promotion_code_id),
  foreign key (organization_id, connection_id) references connection
);

-- A full reading of the catalogue, in order: one at a time for a connection. cursor_id: of the page that was read last.
create table catalog_sync (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  sync_no         integer not null check (sync_no > 0),
  state           text not null check (state in ('running', 'done', 'failed')),
  part            text not null check (part in ('products', 'prices', 'coupons', 'promotion_codes', '')), -- read now
  cursor_id       text collate "C" not null default '',
  read_count      integer not null default 0,
  deleted_count   integer not null default 0,
  attempts        integer not null default 0,
  due_at          timestamptz not null default '-infinity',
  error           text,
  started_by      text not null,    -- as audit_log.actor
  started_at      timestamptz not null,
  finished_at     timestamptz,
  primary key (organization_id, connection_id, sync_no),
  foreign key (organization_id, connection_id) references connection
);
create unique index catalog_sync_running on catalog_sync (organization_id, connection_id) where state = 'running';

-- Connections whose catalogue is to be read on now; only those with an API key can.
create function connections_with_due_catalog() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select s.organization_id, s.connection_id from catalog_sync s
  join connection c on c.organization_id = s.organization_id and c.connection_id = s.connection_id
  where s.state = 'running' and s.due_at <= now() and c.status = 'active';
$$;

revoke execute on function inbox_accept, connections_to_read_again, connections_with_due_catalog from public;
grant execute on function inbox_accept, connections_to_read_again, connections_with_due_catalog to refref_app;
grant select, insert, update on custom_event_type, catalog_product, catalog_price, catalog_coupon,
  catalog_promotion_code, catalog_sync to refref_app;

do $$ declare t text; begin
  foreach t in array array['custom_event_type', 'catalog_product', 'catalog_price', 'catalog_coupon',
    'catalog_promotion_code', 'catalog_sync'] loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy tenant on %I to refref_app'
      ' using (organization_id = current_setting(''app.organization_id'', true))'
      ' with check (organization_id = current_setting(''app.organization_id'', true))', t);
  end loop;
end $$;
