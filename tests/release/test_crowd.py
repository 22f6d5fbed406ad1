"""A thousand browsers over whole releases: no page of two versions."""

import asyncio
import math

from crowd import Crowd

CLIENTS = 1000
RISING = [1, 5, 10, 20, 50, 80, 100]
FALLING = [50, 1]


def assert_clean(tally):
    assert tally.failed_pages == 0, tally.complaints
    assert tally.failed_assets == 0, tally.complaints
    assert tally.mixed_pages == 0, tally.complaints


def on(versions, wanted):
    """The clients that have that version."""
    return {i for i, version in enumerate(versions) if version == wanted}


def assert_share(count, total, share):
    """Neither so many nor so few are a chance of one in a billion."""
    p = share / 100
    by_count = [math.comb(total, n) * p ** n * (1 - p) ** (total - n)
                for n in range(total + 1)]
    assert sum(by_count[:count + 1]) > 1e-9 < sum(by_count[count:]), (
        count, total, share)


def run(perch, clients, story, **options):
    """Runs story(crowd) with a crowd of clients, and cleans up after it."""
    async def body():
        crowd = Crowd("http://127.0.0.1:%d/" % perch.port, clients,
                      **options)
        try:
            return await story(crowd)
        finally:
            crowd.close()
    return asyncio.run(body())


async def off_loop(function, *arguments):
    return await asyncio.get_running_loop().run_in_executor(
        None, function, *arguments)


def test_a_whole_release(shop):
    perch = shop()

    async def story(crowd):
        assert on(await crowd.visit_all(), "v1") == set(range(CLIENTS))
        await off_loop(perch.admin.release, "shop", "v2", RISING[0])
        moved = set()
        for share in RISING:
            await off_loop(perch.admin.share, "shop", share)
            # Pages that were open before the share moved stay whole.
            await crowd.open_late_all()
            now = on(await crowd.visit_all(), "v2")
            assert_share(len(now), CLIENTS, share)
            assert moved <= now, "clients were moved back"
            moved = now
        for share in FALLING:
            await off_loop(perch.admin.share, "shop", share)
            await crowd.open_late_all()
            now = on(await crowd.visit_all(), "v2")
            assert_share(len(now), CLIENTS, share)
            assert now <= moved, "clients were moved forward"
            moved = now
        assert crowd.tally.assets > 25 * CLIENTS
        assert_clean(crowd.tally)
    run(perch, CLIENTS, story)


def test_raised_again_the_same_clients_move(shop):
    perch = shop()

    async def story(crowd):
        await off_loop(perch.admin.release, "shop", "v2", 20)
        first = on(await crowd.visit_all(), "v2")
        await off_loop(perch.admin.share, "shop", 1)
        left = on(await crowd.visit_all(), "v2")
        assert left < first and len(left) < len(first) / 2
        await off_loop(perch.admin.share, "shop", 20)
        assert on(await crowd.visit_all(), "v2") == first
        assert_clean(crowd.tally)
    run(perch, 300, story)


def test_promotion_leaves_open_pages_whole(shop):
    perch = shop()

    async def story(crowd):
        await off_loop(perch.admin.release, "shop", "v2", 30)
        before = await crowd.visit_all()
        assert on(before, "v1") and on(before, "v2")
        await off_loop(perch.admin.promote, "shop")
        await crowd.open_late_all()
        assert on(await crowd.visit_all(), "v2") == set(range(300))
        assert_clean(crowd.tally)
    run(perch, 300, story)


def test_share_moves_while_pages_load(shop):
    """The share changes between a page and its assets, again and again."""
    perch = shop()

    async def story(crowd):
        await off_loop(perch.admin.release, "shop", "v2", 50)
        shares = [5, 95, 20, 80, 50, 1, 100]
        turn = 0
        browsing = asyncio.ensure_future(crowd.browse(
            4, think=0.2, is_enough=lambda: turn > 20))
        while not browsing.done():
            await off_loop(perch.admin.share, "shop",
                           shares[turn % len(shares)])
            turn += 1
            await asyncio.sleep(0.02)
        await browsing
        assert min(crowd.tally.pages["v1"], crowd.tally.pages["v2"]) > 50
        assert_clean(crowd.tally)
    run(perch, 150, story)


def test_reloads_while_pages_load(shop):
    perch = shop()

    async def story(crowd):
        await off_loop(perch.admin.release, "shop", "v2", 50)
        turn = 0
        browsing = asyncio.ensure_future(crowd.browse(
            3, think=0.2, is_enough=lambda: turn > 3))
        while not browsing.done():
            perch.change(limits={"target": "%dKiB" % (4 + turn % 4)})
            await off_loop(perch.reload)
            turn += 1
            await asyncio.sleep(0.05)
        await browsing
        assert_clean(crowd.tally)
    run(perch, 100, story)


def test_restart_moves_nobody(shop):
    perch = shop(state=True)

    async def story(crowd):
        await off_loop(perch.admin.release, "shop", "v2", 40)
        before = await crowd.visit_all()
        await off_loop(perch.kill)
        await off_loop(perch.start)
        await crowd.open_late_all()
        assert await crowd.visit_all() == before
        assert_clean(crowd.tally)
    run(perch, 300, story)


def test_tabs_and_bare_assets_over_release_and_rollback(shop):
    """What pins can't prevent, rescue mends: a tab that outlives its pin,
    assets asked for without cookies, pages opened before a rollback."""
    perch = shop()

    async def visit(crowd):
        await crowd.visit_all()
        await crowd.open_late_all()

    async def story(crowd):
        await visit(crowd)
        await off_loop(perch.admin.release, "shop", "v2", 1)
        for share in [5, 10, 20, 50, 80]:
            await off_loop(perch.admin.share, "shop", share)
            await visit(crowd)
        await off_loop(perch.admin.rollback, "shop")
        await crowd.open_late_all()
        await visit(crowd)
        await off_loop(perch.admin.release, "shop", "v2", 1)
        for share in [10, 50, 100]:
            await off_loop(perch.admin.share, "shop", share)
            await visit(crowd)
        await off_loop(perch.admin.promote, "shop")
        await crowd.open_late_all()
        await visit(crowd)
        metrics = await off_loop(perch.admin.metrics)
        assert metrics.sum("perch_rescues_total", result="found") > 100
        assert_clean(crowd.tally)
    run(perch, 300, story, tabs=3, bare_assets=0.1)


def test_without_cookies_the_problem_shows(shop):
    """What all this is for, and the proof that the crowd can see it."""
    perch = shop({"rescue": {"budget": 0}})

    async def story(crowd):
        await off_loop(perch.admin.release, "shop", "v2", 50)
        await crowd.visit_all()
        # Half of the pages get at least one of two assets from elsewhere.
        assert crowd.tally.mixed_pages > 100
    run(perch, 300, story, keeps_cookies=False)


def test_a_key_keeps_clients_without_cookies(shop):
    """Each has an address of its own."""
    perch = shop({"sticky": {"key": ["address"]}})

    async def story(crowd):
        await off_loop(perch.admin.release, "shop", "v2", 50)
        versions = await crowd.visit_all()
        assert len(set(versions)) == 2
        assert_clean(crowd.tally)
    run(perch, 100, story, keeps_cookies=False)
