-- A program's first terms bind whom its participants' codes brought before them. Those published until now judged anew
-- only payments that they reached back to: sales that are bound to nobody are looked at once more.
insert into dirty_scope
select distinct d.organization_id, d.connection_id, d.scope_id
from decision d
where d.program_id = '' and d.reason in ('unknown_code', 'not_attributed', 'inactive_code')
  and exists (
    select from program p
    join terms t on t.organization_id = p.organization_id and t.program_id = p.program_id
    where p.organization_id = d.organization_id and p.connection_id = d.connection_id
  )
on conflict do nothing;

-- Rules for some products also reward what is no payment (a trial, a change of quantity): its key has a slash.
insert into dirty_scope
select distinct organization_id, connection_id, scope_id from decision where program_id <> '' and payment_key like '%/%'
on conflict do nothing;

-- A conversion that a cap left without anything is found again when room comes back: under caps all are judged once more.
with capped as (
  update decision d set is_stale = true
  where d.program_id <> '' and d.draft_digest is not null
    and exists (
      select from terms t
      where t.organization_id = d.organization_id and t.program_id = d.program_id
        and jsonb_typeof(t.body -> 'caps') = 'array' and t.body -> 'caps' <> '[]'
    )
  returning d.organization_id, d.connection_id, d.scope_id
)
insert into dirty_scope select distinct organization_id, connection_id, scope_id from capped
on conflict do nothing;
