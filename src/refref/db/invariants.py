"""Queries that find broken promises of the books. Each returns offenders, at most a few; none is as it should be."""

from __future__ import annotations

from refref.db.pool import Connection

# name, what it promises, and the query for offenders ($1 is the organization).
CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "balances_equal_postings",
        "each cached balance is the sum of its postings",
        """
        with leg as (
          select connection_id, destination_owner as owner_id, destination_account as account, currency, amount_minor
          from ledger_posting where organization_id = $1
          union all
          select connection_id, source_owner, source_account, currency, -amount_minor
          from ledger_posting where organization_id = $1
        ), summed as (
          select connection_id, owner_id, account, currency, sum(amount_minor) as amount from leg group by 1, 2, 3, 4
        )
        select format('%s %s %s: cached %s, postings %s', owner_id, account, currency, b.balance_minor, s.amount)
        from summed s full join (select * from ledger_balance where organization_id = $1) b
             using (connection_id, owner_id, account, currency)
        where b.balance_minor is distinct from s.amount limit 5
        """,
    ),
    (
        "postings_sum_to_zero",
        "in every currency, what left all accounts arrived in others",
        """
        select format('%s %s: %s', connection_id, currency, sum(balance_minor)) from ledger_balance
        where organization_id = $1 group by connection_id, currency having sum(balance_minor) <> 0 limit 5
        """,
    ),
    (
        "entries_have_postings",
        "no entry is empty",
        """
        select entry_id from ledger_entry e where organization_id = $1
        and not exists (select from ledger_posting p where p.organization_id = $1 and p.entry_id = e.entry_id) limit 5
        """,
    ),
    (
        "rewards_equal_entries",
        "each reward's amount less what was reversed is what its entries took from expense",
        """
        with net as (
          select e.reward_id,
                 sum(case when p.source_account = 'expense' then p.amount_minor
                          when p.destination_account = 'expense' then -p.amount_minor else 0 end) as amount
          from ledger_entry e join ledger_posting p using (organization_id, entry_id)
          where e.organization_id = $1 group by e.reward_id
        )
        select format('%s: reward %s, entries %s', r.reward_id, r.amount_minor - r.reversed_minor, n.amount)
        from (select * from reward where organization_id = $1 and kind in ('commission', 'credit')) r
        full join net n using (reward_id)
        where r.amount_minor - r.reversed_minor is distinct from n.amount limit 5
        """,
    ),
    (
        "balances_equal_rewards",
        "each beneficiary's pending, payable, held and paid balances are the sums of their rewards",
        """
        with owed as (
          select connection_id, beneficiary_id as owner_id,
                 case when status in ('pending', 'payable', 'held') then status else 'payable' end as account, currency,
                 sum(amount_minor - reversed_minor - paid_minor) as amount
          from reward where organization_id = $1 group by 1, 2, 3, 4
          union all
          select connection_id, beneficiary_id, 'paid', currency, sum(paid_minor)
          from reward where organization_id = $1 group by 1, 2, 4
        ), kept as (
          select connection_id, owner_id, account, currency, balance_minor from ledger_balance
          where organization_id = $1 and account in ('pending', 'payable', 'held', 'paid')
        )
        select format('%s %s %s: rewards %s, balance %s', owner_id, account, currency, amount, balance_minor)
        from owed full join kept using (connection_id, owner_id, account, currency)
        where coalesce(amount, 0) <> coalesce(balance_minor, 0) limit 5
        """,
    ),
    (
        "tally_days_equal_tallies",
        "the sums by day that tiers and caps look at are the sums of the conversions' contributions",
        """
        with owned as (
          select program_id, o.owner_id, rule_id, currency, (occurred_at / 86400)::int as day,
                 sum(referrals) as a, sum(undone) as b, sum(by_code) as c, sum(revenue_minor) as d,
                 sum(earned_minor) as e
          from tally t cross join lateral (values (t.owner_id), ('')) as o (owner_id)
          where organization_id = $1 and (o.owner_id <> '' or rule_id <> '') group by 1, 2, 3, 4, 5
        ), kept as (
          select program_id, owner_id, rule_id, currency, day,
                 referrals as a, undone as b, by_code as c, revenue_minor as d, earned_minor as e
          from tally_day where organization_id = $1
        )
        select format('%s %s %s day %s', program_id, owner_id, rule_id, day)
        from owned o full join kept k using (program_id, owner_id, rule_id, currency, day)
        where (coalesce(o.a, 0), coalesce(o.b, 0), coalesce(o.c, 0), coalesce(o.d, 0), coalesce(o.e, 0))
          <> (coalesce(k.a, 0), coalesce(k.b, 0), coalesce(k.c, 0), coalesce(k.d, 0), coalesce(k.e, 0)) limit 5
        """,
    ),
    (
        "rewarded_decisions_have_rewards",
        "each rewarded decision has its rewards, and the sums in the payment's currency agree",
        """
        with earned as (
          select r.connection_id, r.program_id, r.payment_key,
                 coalesce(sum(r.amount_minor) filter (where r.currency = d.currency), 0) as amount,
                 coalesce(sum(r.reversed_minor) filter (where r.currency = d.currency), 0) as taken,
                 -- What expired was taken back although the decision says nothing of it.
                 coalesce(sum(r.amount_minor) filter (where r.currency = d.currency and r.status = 'expired'), 0)
                   as expired
          from reward r
          join decision d on d.organization_id = $1 and d.connection_id = r.connection_id
            and d.program_id = r.program_id and d.payment_key = r.payment_key
          where r.organization_id = $1 group by 1, 2, 3
        )
        select format('%s: decision %s/%s, rewards %s/%s', d.payment_key, d.earned_minor, d.reversed_minor,
                      e.amount, e.taken)
        from decision d left join earned e using (connection_id, program_id, payment_key)
        where d.organization_id = $1 and d.outcome = 'rewarded'
          and (e.amount is null or e.amount < d.earned_minor or e.taken < d.reversed_minor
               or e.amount - e.taken not between d.earned_minor - d.reversed_minor - e.expired
                                             and d.earned_minor - d.reversed_minor) limit 5
        """,
    ),
    (
        "live_rewards_have_decisions",
        "each reward that is worth something stands on a rewarded decision",
        """
        select r.reward_id from reward r where r.organization_id = $1 and r.reversed_minor < r.amount_minor
        and not exists (
          select from decision d where d.organization_id = $1 and d.connection_id = r.connection_id
            and d.payment_key = r.payment_key and d.program_id = r.program_id and d.outcome = 'rewarded'
        ) limit 5
        """,
    ),
    (
        "refusals_have_reasons",
        "each decision that rewards nothing says why",
        """
        select payment_key from decision
        where organization_id = $1 and outcome <> 'rewarded' and coalesce(reason, '') = '' limit 5
        """,
    ),
    (
        "suspense_is_empty",
        "no money is unexplained",
        """
        select format('%s %s', currency, balance_minor) from ledger_balance
        where organization_id = $1 and account = 'suspense' and balance_minor <> 0 limit 5
        """,
    ),
)


async def offenders(tx: Connection, organization_id: str, query: str) -> list[str]:
    """What breaks one of CHECKS, each as a short text."""
    # Each reads whole tables. Of tables that nobody has analysed yet PostgreSQL thinks that they are small, and would
    # compare each row of one with each of another, or merge them by the one key that all rows share.
    await tx.execute("set local enable_nestloop = off")
    await tx.execute("set local enable_mergejoin = off")
    rows = await tx.fetch(query, organization_id)
    await tx.execute("set local enable_nestloop = on")
    await tx.execute("set local enable_mergejoin = on")
    return [str(row[0]) for row in rows]
