-- What of a statement ties: of each payment what came out of band and what its charges took (null: no charge is known);
-- of each movement what the books hold of its charge, refund or dispute, without its sign, in that object's currency.
alter table statement_payment
  add column off_stripe_minor bigint not null default 0,
  add column charged_minor    bigint;
alter table statement_movement
  add column known_minor    bigint,
  add column known_currency text collate "C" not null default '';

-- Questions that no terms ask sleep, one for many sales: whether any is due must not be asked of all of them.
create index open_need_due on open_need (organization_id, connection_id, due_at);
