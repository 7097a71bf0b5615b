-- The watch also looks at connections that only listen: whether Stripe sends another API version than before.
create or replace function connections_to_check() returns table (organization_id text, connection_id text)
language sql security definer set search_path = public, pg_temp stable as $$
  select c.organization_id, c.connection_id from connection c
  where c.status <> 'disabled' and c.check_at <= now()
    and (c.access = 'platform'
         or exists (select from connection_secret s where s.organization_id = c.organization_id
                    and s.connection_id = c.connection_id and (s.expires_at is null or s.expires_at > now())))
  order by c.check_at limit 50;
$$;
