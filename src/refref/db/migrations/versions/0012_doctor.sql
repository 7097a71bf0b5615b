-- What the doctor looks at: since when events wait and codes are unknown, deliveries that intake refused, and the few
-- rows that its questions are about.

-- Since when an event waits: a stored event that is put back to work has not waited since it arrived.
alter table inbox add column queued_at timestamptz not null default now();

-- Since when a code that nobody owns is known.
alter table unclaimed_code add column noted_at timestamptz not null default now();

-- Deliveries that were refused although somebody meant to sign them (stripe.signature names the codes). The count begins
-- anew after a day without one.
create table delivery_refusal (
  organization_id text collate "C" not null,
  connection_id   text collate "C" not null,
  code            text collate "C" not null,
  refused_count   bigint not null,
  first_at        timestamptz not null,
  last_at         timestamptz not null,
  primary key (organization_id, connection_id, code),
  foreign key (organization_id, connection_id) references connection
);
grant select, insert, update, delete on delivery_refusal to refref_app;
alter table delivery_refusal enable row level security;
create policy tenant on delivery_refusal to refref_app
  using (organization_id = current_setting('app.organization_id', true))
  with check (organization_id = current_setting('app.organization_id', true));

-- Events that were never settled, by the object that they are about; settled ones are found by their facts.
create index stripe_event_left_out on stripe_event (organization_id, connection_id, state, object_id)
  where state <> 'accepted';
-- Events that Stripe's list brought, and what was received lately.
create index stripe_event_listed on stripe_event (organization_id, connection_id, event_seq) where source = 'poll';
create index stripe_event_by_receipt on stripe_event using brin (received_at)
  with (pages_per_range = 32, autosummarize = on);
-- Payments that wait for something.
create index decision_waiting on decision (organization_id, connection_id, occurred_at) where outcome = 'waiting';
