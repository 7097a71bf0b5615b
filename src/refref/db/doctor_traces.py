"""Queries of the doctor, one for each fault that is found by asking the database alone. Decides nothing."""

from __future__ import annotations

# Since when webhooks can arrive: since there is a secret, or through the platform's endpoint.
_DELIVERABLE_SINCE = """(
            select coalesce(min(s.created_at), case when c.access = 'platform' then c.created_at end)
            from connection_secret s
            where s.organization_id = $1 and s.connection_id = $2 and s.kind = 'webhook')"""
# Each gives (subject, instant) of what is wrong. $1 organization, $2 connection, $3 only what came after it, $4 now; by
# our own clock. Instants of Stripe's are put on it by the connection's clock_ahead_s.
_TRACES: dict[str, str] = {
    "no_webhook_secret": """
        select c.connection_id, c.created_at from connection c
        where c.organization_id = $1 and c.connection_id = $2 and c.access = 'key' and $3 < $4
          and not exists (select from connection_secret s where s.organization_id = $1 and s.connection_id = $2
                          and s.kind = 'webhook' and (s.expires_at is null or s.expires_at > $4))
    """,
    "nothing_arrived": """
        select s.connection_id, s.created_at from connection_secret s
        where s.organization_id = $1 and s.connection_id = $2 and s.kind = 'webhook' and $3 < $4
          and not exists (select from connection_secret o where o.organization_id = $1 and o.connection_id = $2
                          and o.kind = 'webhook' and o.created_at >= $4 - interval '1 day')
          and not exists (select from stripe_event e where e.organization_id = $1 and e.connection_id = $2
                          and e.source = 'webhook')
          and not exists (select from delivery_refusal r where r.organization_id = $1 and r.connection_id = $2)
        order by s.created_at desc limit 1
    """,
    # Where deliveries are taken again, what was refused before was delivered again or came by Stripe's list.
    "signature_refused": """
        select 'refused: ' || r.refused_count || ', since ' || to_char(r.first_at at time zone 'UTC',
               'YYYY-MM-DD HH24:MI') || ' UTC', r.last_at
        from delivery_refusal r
        where r.organization_id = $1 and r.connection_id = $2 and r.code = 'no_match'
          and r.last_at > $3 and r.last_at <= $4
          and (r.refused_count >= 5 and r.last_at > $4 - interval '1 day'
               or not exists (select from stripe_event e where e.organization_id = $1 and e.connection_id = $2
                              and e.source = 'webhook' and e.received_at > r.last_at))
    """,
    # What was made before there was a secret, no webhook could bring. Where webhooks flow again, all is well.
    "missed_by_webhook": """
        select e.stripe_event_id, e.received_at from stripe_event e
        join connection c on c.organization_id = $1 and c.connection_id = $2
        where e.organization_id = $1 and e.connection_id = $2 and e.source = 'poll' and e.state = 'accepted'
          and e.received_at > $3 and e.received_at < $4 - interval '15 minutes'
          and e.created_at > (select coalesce(max(w.created_at), '-infinity') from (
            select created_at from stripe_event
            where organization_id = $1 and connection_id = $2 and source = 'webhook'
            order by event_seq desc limit 200) w)
          and e.created_at - make_interval(secs => c.clock_ahead_s) > {deliverable_since}
    """,
    # A late delivery now and then is usual, and so is an outage: a day counts where a twentieth of its events came by
    # the list alone, and there must be several.
    "deliveries_lost": """
        select to_char(day, 'YYYY-MM-DD') || ': ' || polled || ' of ' || polled + delivered, last_at from (
        select d.*, delivered, count(*) over () as days from (
          select date_trunc('day', e.received_at at time zone 'UTC') as day, max(e.received_at) as last_at,
                 count(*) as polled
          from stripe_event e join connection c on c.organization_id = $1 and c.connection_id = $2
          where e.organization_id = $1 and e.connection_id = $2 and e.source = 'poll' and e.state = 'accepted'
            and e.received_at > greatest($3, $4 - interval '7 days') and e.received_at <= $4
            and e.created_at - make_interval(secs => c.clock_ahead_s) > {deliverable_since}
          group by 1 having count(*) >= 3) d
        cross join lateral (
          select count(*) as delivered from stripe_event w
          where w.organization_id = $1 and w.connection_id = $2 and w.source = 'webhook' and w.state = 'accepted'
            and w.received_at >= d.day at time zone 'UTC'
            and w.received_at < (d.day + interval '1 day') at time zone 'UTC'
        ) w
        where polled * 20 >= polled + delivered and delivered > 0) found
        where days >= 2
    """,
    # Of a type that the list alone brings although other types are delivered.
    "type_only_listed": """
        select e.type || ' ' || e.stripe_event_id, e.received_at from (
          select p.type, array_agg(p.stripe_event_id) as ids from stripe_event p
          join connection c on c.organization_id = $1 and c.connection_id = $2
          where p.organization_id = $1 and p.connection_id = $2 and p.source = 'poll' and p.state = 'accepted'
            and p.received_at > $3 and p.received_at < $4 - interval '15 minutes'
            and p.created_at - make_interval(secs => c.clock_ahead_s) > {deliverable_since}
          group by p.type having count(*) >= 2) listed
        join stripe_event e on e.organization_id = $1 and e.connection_id = $2 and e.stripe_event_id = any (listed.ids)
        where not exists (select from stripe_event w where w.organization_id = $1 and w.connection_id = $2
                          and w.source = 'webhook' and w.type = listed.type and w.received_at > $3)
          and exists (select from stripe_event w where w.organization_id = $1 and w.connection_id = $2
                      and w.source = 'webhook' and w.created_at > e.created_at)
    """,
    # A first comparison brings in what was before the connection: that is no gap.
    "gaps_found": """
        select g.stripe_id, r.finished_at from (
          select * from history_run where organization_id = $1 and connection_id = $2 and kind = 'reconcile'
            and status = 'done' order by run_id desc limit 1) r
        join history_gap g on g.organization_id = $1 and g.run_id = r.run_id
        where r.finished_at > $3 and r.finished_at <= $4
          and exists (select from history_run b where b.organization_id = $1 and b.connection_id = $2
                      and b.kind in ('backfill', 'reconcile') and b.status = 'done' and b.run_id < r.run_id)
    """,
    # Since webhooks flow again there is nothing to mend: what was missed is here.
    "reading_failed": """
        select r.run_id, r.created_at from (
          select distinct on (kind) * from history_run where organization_id = $1 and connection_id = $2
          order by kind, run_id desc) r
        where r.status = 'failed' and r.created_at > $3 and r.created_at <= $4
    """,
    "poll_failing": """
        select p.error, p.checked_at from event_poll p
        where p.organization_id = $1 and p.connection_id = $2 and p.attempts >= 3 and $3 < $4
    """,
    "promotion_code_collides": """
        select p.code || ' (' || p.stripe_promotion_code_id || ')', to_timestamp(p.seen_at)
        from catalog_promotion_code p
        join participant_code refcode on refcode.organization_id = $1 and refcode.connection_id = $2
             and refcode.code_kind = 'refcode' and refcode.code = lower(p.code) and refcode.deactivated_at is null
        left join participant_code own on own.organization_id = $1 and own.connection_id = $2
             and own.code = p.stripe_promotion_code_id
        where p.organization_id = $1 and p.connection_id = $2 and p.is_active and p.deleted_at is null and $3 < $4
          and own.participant_id is distinct from refcode.participant_id
    """,
    "two_connections": """
        select o.connection_id, o.created_at from connection c
        join connection o on o.organization_id = $1 and o.connection_id <> c.connection_id and o.mode = c.mode
             and o.stripe_account_id = c.stripe_account_id and o.status <> 'disabled'
        where c.organization_id = $1 and c.connection_id = $2 and c.status <> 'disabled' and $3 < $4
    """,
    "version_drift": """
        select e.api_version, max(e.received_at) from (
          select api_version, received_at from stripe_event
          where organization_id = $1 and connection_id = $2 and source = 'webhook' and api_version is not null
            and received_at > $3 and received_at <= $4
          order by event_seq desc limit 20) e
        group by e.api_version having count(*) < (
          select count(*) from (select from stripe_event where organization_id = $1 and connection_id = $2
            and source = 'webhook' and api_version is not null and received_at > $3 and received_at <= $4
            order by event_seq desc limit 20) newest)
    """,
    "clock_ahead": """
        select e.stripe_event_id, e.received_at from stripe_event e
        join connection c on c.organization_id = $1 and c.connection_id = $2 and c.api_base is null
        where e.organization_id = $1 and e.connection_id = $2 and e.source = 'webhook'
          and e.created_at > e.received_at + interval '2 minutes'
          and e.created_at < e.received_at + interval '1 hour' -- a test clock runs further ahead
          and e.received_at > $4 - interval '1 day' and e.received_at > $3
          and not exists (select from stripe_event w where w.organization_id = $1 and w.connection_id = $2
            and w.source = 'webhook' and w.event_seq > e.event_seq
            and w.created_at <= w.received_at + interval '2 minutes')
    """,
    "wrong_mode": """
        select stripe_event_id, received_at from stripe_event
        where organization_id = $1 and connection_id = $2 and state = 'quarantined' and reason = 'livemode_mismatch'
          and received_at > $3 and received_at <= $4
    """,
    "unknown_account": """
        select stripe_event_id, received_at from stripe_event
        where organization_id = $1 and connection_id = $2 and state = 'quarantined' and reason = 'unknown_account'
          and received_at > $3 and received_at <= $4
    """,
    "needs_unanswered": """
        select need_kind || ' ' || stripe_id, due_at from open_need
        where organization_id = $1 and connection_id = $2 and attempts >= 3 and $3 < $4
    """,
    "parked_events": """
        select e.stripe_event_id || coalesce(': ' || i.error, ''), e.received_at from inbox i
        join stripe_event e using (organization_id, connection_id, event_seq)
        where i.organization_id = $1 and i.connection_id = $2 and i.state = 'parked' and $3 < $4
    """,
    "overdue_events": """
        select e.stripe_event_id, i.queued_at from inbox i
        join stripe_event e using (organization_id, connection_id, event_seq)
        where i.organization_id = $1 and i.connection_id = $2 and i.state = 'pending' and $3 < $4
          and greatest(i.due_at, i.queued_at) < $4 - interval '15 minutes'
    """,
    # The list of events is due every few minutes, so whoever works would have read it.
    "worker_absent": """
        select 'the events list was due at ' || to_char(due_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC',
               due_at
        from (
          select coalesce(nullif(p.due_at, '-infinity'), p.checked_at, c.created_at) as due_at
          from connection c
          left join event_poll p on p.organization_id = $1 and p.connection_id = $2
          where c.organization_id = $1 and c.connection_id = $2 and c.status = 'active' and $3 < $4
            and (c.access = 'platform' or exists (
              select from connection_secret s where s.organization_id = $1 and s.connection_id = $2
                and s.kind = 'api_key' and s.created_at < $4 - interval '30 minutes'))) d
        where due_at < $4 - interval '30 minutes'
    """,
    "lines_unknown": """
        select d.payment_key, d.occurred_at - make_interval(secs => c.clock_ahead_s) from decision d
        join connection c on c.organization_id = $1 and c.connection_id = $2
        where d.organization_id = $1 and d.connection_id = $2 and d.outcome = 'waiting' and d.reason = 'lines_missing'
          and $3 < $4 and d.occurred_at - make_interval(secs => c.clock_ahead_s) < $4 - interval '1 day'
    """,
    "rates_missing": """
        select d.currency || ' on ' || to_char(d.occurred_at at time zone 'UTC', 'YYYY-MM-DD'),
               max(d.occurred_at - make_interval(secs => c.clock_ahead_s))
        from decision d join connection c on c.organization_id = $1 and c.connection_id = $2
        where d.organization_id = $1 and d.connection_id = $2 and d.outcome = 'waiting'
          and d.reason = 'rate_not_yet_known' and $3 < $4
          and d.occurred_at - make_interval(secs => c.clock_ahead_s) < $4 - interval '7 days'
        group by 1
    """,
    # What is signed and far from our time: this clock is minutes off, or deliveries lie somewhere for minutes.
    "clock_refused": """
        select replace(r.code, '_', ' ') || ': ' || r.refused_count, r.last_at from delivery_refusal r
        where r.organization_id = $1 and r.connection_id = $2
          and r.code in ('timestamp_too_old', 'timestamp_in_future') and r.last_at > $3 and r.last_at <= $4
          and (r.refused_count >= 5 and r.last_at > $4 - interval '1 day'
               or not exists (select from stripe_event e where e.organization_id = $1 and e.connection_id = $2
                              and e.source = 'webhook' and e.received_at > r.last_at))
    """,
    # More than the next payout can set off against what is on its way.
    "overpaid": """
        select b.owner_id || ': ' || -b.balance_minor || ' ' || b.currency || ' in minor units', null::timestamptz
        from ledger_balance b
        where b.organization_id = $1 and b.connection_id = $2 and b.account = 'payable' and b.balance_minor < 0
          and $3 < $4
          and b.balance_minor + coalesce((
            select sum(o.balance_minor) from ledger_balance o
            where o.organization_id = $1 and o.connection_id = $2 and o.owner_id = b.owner_id
              and o.currency = b.currency and o.account in ('pending', 'held')), 0) < 0
    """,
    # The same money to the same participant: under one reference, or on one day without any, told within the hour.
    "payout_told_twice": """
        select a.payout_id || ' = ' || b.payout_id, greatest(a.at, b.at) from payout a
        join payout b on b.organization_id = $1 and b.participant_id = a.participant_id and b.payout_id > a.payout_id
             and b.currency = a.currency and b.amount_minor = a.amount_minor and b.reference = a.reference
        where a.organization_id = $1 and a.connection_id = $2 and greatest(a.at, b.at) > $3
          and least(a.at, b.at) <= $4
          and (a.reference <> '' or a.paid_on = b.paid_on and b.at - a.at < interval '1 hour')
          and not exists (select from payout_undoing u where u.organization_id = $1
                          and u.payout_id in (a.payout_id, b.payout_id))
    """,
    "same_event_twice": """
        select e.stripe_event_id, e.received_at from connection c
        join connection o on o.organization_id = $1 and o.connection_id <> $2 and o.mode = c.mode
             and o.status <> 'disabled'
        join stripe_event d on d.organization_id = $1 and d.connection_id = o.connection_id and d.received_at > $3
             and d.state = 'accepted'
        join stripe_event e on e.organization_id = $1 and e.connection_id = $2
             and e.stripe_event_id = d.stripe_event_id and e.state = 'accepted'
        where c.organization_id = $1 and c.connection_id = $2 and e.received_at > $3 and e.received_at <= $4
    """,
}
TRACES = {code: query.replace("{deliverable_since}", _DELIVERABLE_SINCE) for code, query in _TRACES.items()}
# Faults of webhooks: nothing is expected of them where the events list is the intake.
OF_WEBHOOKS = frozenset((
    "no_webhook_secret", "nothing_arrived", "signature_refused", "missed_by_webhook", "deliveries_lost",
    "type_only_listed", "clock_refused", "version_drift",
))  # fmt: skip
