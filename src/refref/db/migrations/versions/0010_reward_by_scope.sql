-- Of two indexes that look as good for a table that PostgreSQL has not analysed yet it takes the newer one. The key of a
-- reward had become that, so settling read every reward of a connection for each scope of a new installation.
drop index reward_by_scope;
create index reward_by_scope on reward (organization_id, connection_id, scope_id);
