"""The pytest plugin, in small projects of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parent.parent / "docs" / "simulator.md"

pytest_plugins = ("pytester",)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty project in which the plugin is on, however long ago the core was installed here."""
    pytester.makeconftest(
        """
        import pytest

        def pytest_configure(config):
            if not config.pluginmanager.hasplugin("routed-llm"):
                import pytest_routed_llm

                config.pluginmanager.register(pytest_routed_llm, "routed-llm")
        """
    )
    return pytester


# Each in a process of its own: pytester's other way forgets modules that were imported in it, and who imports
# them again has other classes than who kept them.
QUIET = ("-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")
"""Warnings fail; the setting is what another plugin warns without."""

CALL = """
    import json, os, urllib.error, urllib.request
    from datetime import date
    import pytest
    from routed_llm import Router, read_openai

    def call(model="gpt-4o", **more):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}
        request = urllib.request.Request(
            os.environ["OPENAI_BASE_URL"] + "/chat/completions",
            json.dumps(body).encode(),
            {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
"""

PASSING = """
    def test_the_day_is_today(openai_simulator):
        assert openai_simulator.at == date.today()

    @pytest.mark.openai_simulator(at="2026-11-22")
    def test_a_call(openai_simulator):
        assert call() == 200
        openai_simulator.assert_not_refused()
        assert [entry.model for entry in openai_simulator.journal] == ["gpt-4o"]

    @pytest.mark.openai_simulator(at="2027-01-15")
    def test_a_day(openai_simulator):
        assert call() == 404
        assert openai_simulator.at == date(2027, 1, 15)
        assert Router().decide(read_openai({"input": "Hello"})).at == date(2027, 1, 15)

    @pytest.mark.openai_simulator(at=date(2026, 11, 22))
    def test_another_day_from_within(openai_simulator):
        assert call() == 200
        openai_simulator.at = date(2027, 1, 15)
        assert call() == 404
        assert Router().decide(read_openai({"input": "Hello"})).at == date(2027, 1, 15)

    @pytest.mark.openai_simulator(at="2026-11-22", faults=["503;times=1", {"kind": "500", "times": 1}])
    def test_failures(openai_simulator):
        assert [call(), call(), call()] == [503, 500, 200]
        openai_simulator.assert_not_refused()

    @pytest.mark.openai_simulator(at="2027-01-15", faults=["500;times=0"])
    class TestOfAClass:
        def test_its_marker_holds(self, openai_simulator):
            assert call() == 404

    @pytest.mark.openai_simulator(at="2026-11-22")
    def test_nothing_is_left_over(openai_simulator):
        assert (openai_simulator.journal, openai_simulator.faults.pending()) == ([], [])
        assert call() == 200
"""


def test_a_project_s_tests_pass(project: pytest.Pytester) -> None:
    """The fixture serves, on its day, with its failures, and keeps nothing from one test to the next."""
    project.makepyfile(CALL + PASSING)
    project.runpytest_subprocess("--strict-markers", *QUIET).assert_outcomes(passed=7)


def test_the_document_s_test_passes(project: pytest.Pytester) -> None:
    """The test that docs/simulator.md begins with passes in a project that holds nothing else."""
    project.makepyfile(DOCUMENT.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0])
    project.runpytest_subprocess("--strict-markers", *QUIET).assert_outcomes(passed=1)


def test_the_setting_gives_the_day_of_all_tests(project: pytest.Pytester) -> None:
    """`openai_simulator_at` holds where a marker names no day."""
    project.makeini("[pytest]\nopenai_simulator_at = 2027-01-15\n")
    project.makepyfile(
        CALL
        + """
    def test_all(openai_simulator):
        assert call() == 404

    @pytest.mark.openai_simulator(at="2026-11-22")
    def test_one(openai_simulator):
        assert call() == 200
    """
    )
    project.runpytest_subprocess(*QUIET).assert_outcomes(passed=2)


def test_a_refused_request_fails_with_the_api_s_words(project: pytest.Pytester) -> None:
    """`assert_not_refused` names model, endpoint, status and message of what broke a rule."""
    project.makepyfile(
        CALL
        + """
    @pytest.mark.openai_simulator(at="2026-11-22")
    def test(openai_simulator):
        assert [call(), call("gpt-5.5", temperature=0.2)] == [200, 400]
        openai_simulator.assert_not_refused()
    """
    )
    done = project.runpytest_subprocess(*QUIET)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "E *AssertionError: The API refuses 1 of 2 requests:",
            "E *  gpt-5.5 on /v1/chat/completions: 400 unsupported_value: Unsupported value: 'temperature' "
            "does not support 0.2 with this model. Only the default (1) value is supported.",
            "E *Correct what is sent; `.refused` has the bodies.",
        ]
    )


WRONG = {
    "day='2027-01-15'": "The marker openai_simulator takes no day. Give it at=... and faults=[...].",
    "'2027-01-15'": "The marker openai_simulator takes no arguments without a name. "
    "Give it at=... and faults=[...].",
    "at='soon'": "at='soon' is not a day. Give a date, or one as text: '2027-01-15'.",
    "faults=['fire']": "There is no fault of kind 'fire'. Use one of: ",
}


def test_a_wrong_marker_is_an_error(project: pytest.Pytester) -> None:
    """What the marker cannot mean fails the test before it runs."""
    tests = (
        f"@pytest.mark.openai_simulator({mark})\ndef test_{number}(openai_simulator): pass\n"
        for number, mark in enumerate(WRONG)
    )
    project.makepyfile("import pytest\n" + "\n".join(tests))
    done = project.runpytest_subprocess(*QUIET)
    done.assert_outcomes(errors=len(WRONG))
    shown = done.stdout.str()
    assert [error for error in WRONG.values() if error not in shown] == []


def test_who_does_not_ask_imports_nothing(project: pytest.Pytester) -> None:
    """A run of tests that never uses the fixture does not load routed_llm for it."""
    project.makepyfile("import sys\ndef test(): assert not {'routed_llm', 'pydantic'} & set(sys.modules)")
    project.runpytest_subprocess("-p", "no:langsmith_plugin").assert_outcomes(passed=1)


def test_no_test_goes_by_another_s_failures_or_day(project: pytest.Pytester) -> None:
    """Models without a router of their own share one, and what it has met, with the test at hand only."""
    project.makepyfile(
        """
        import pytest
        from langchain_routed import RoutedChatModel
        from llama_index.llms.routed import RoutedLLM
        from routed_llm.calls.adapting import shared_router

        shared_router(), (kept := RoutedLLM()).metadata  # of the day of the import

        @pytest.mark.parametrize("ask", [RoutedChatModel.invoke, RoutedLLM.complete], ids=["chain", "index"])
        @pytest.mark.parametrize("day", ["2026-11-22", "2027-01-15"])
        @pytest.mark.parametrize("failing", [True, False])
        def test_a_call(openai_simulator, ask, day, failing):
            openai_simulator.at = day
            if failing:
                openai_simulator.faults.add("503;times=2")
            ask((RoutedChatModel if ask is RoutedChatModel.invoke else RoutedLLM)(), "Hello")
            openai_simulator.assert_not_refused()
            assert openai_simulator.journal[0].model == "gpt-5.6-luna"
        """
    )
    project.runpytest_subprocess("-p", "no:xdist", *QUIET).assert_outcomes(passed=8)
