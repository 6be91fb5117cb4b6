"""What commands say on a terminal of any encoding, of files of any name."""

import io
import json
import sys

import pytest

from fhir_trial.cli.main import run
from fhir_trial.cli.output import say, show, show_json, show_json_as_it_comes

ODD = "la\udcfftin ü 漢.ndjson"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_name_of_a_file_stops_what_is_said(encoding, monkeypatch):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    show_json({"place": ODD})
    say(ODD)
    out.flush()
    assert json.loads(out.buffer.getvalue()) == {"place": ODD}
    show(ODD)
    out.flush()
    err.flush()
    assert b"la\\udcfftin" in out.buffer.getvalue()
    assert b"la\\udcfftin" in err.buffer.getvalue()


def test_a_view_does_not_replace_what_it_reads(tmp_path, capsys):
    source, view = tmp_path / "p.ndjson", tmp_path / "v.json"
    source.write_text('{"resourceType":"Patient","id":"a"}\n')
    view.write_text(json.dumps({"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}))
    assert run(["view", str(view), str(source), "--out", str(tmp_path / "p.ndjson")]) == 2
    assert "is what is read" in capsys.readouterr().err
    assert source.read_text() == '{"resourceType":"Patient","id":"a"}\n'


@pytest.mark.parametrize("items", [[], [ODD], ["a", 'b"', "c"]])
def test_a_list_that_is_shown_as_it_comes_is_json_and_what_counts_it_comes_last(items, capsys):
    seen = []

    def counted():
        for item in items:
            seen.append(item)
            yield item

    show_json_as_it_comes("lines", counted(), lambda: {"plan": {"create": len(seen)}, "b": 1})
    assert json.loads(capsys.readouterr().out) == {"lines": items, "plan": {"create": len(items)}, "b": 1}


def test_nothing_is_shown_of_a_list_that_breaks_before_its_first_item(capsys):
    def broken():
        raise ValueError("broken")
        yield

    with pytest.raises(ValueError, match="broken"):
        show_json_as_it_comes("lines", broken(), dict)
    assert capsys.readouterr().out == ""
