"""The answers to commands in a studio."""

from pathlib import Path

from tests.support.scripts import answer_of

from lightning_native.emulator import LocalCloud


def test_output_that_is_not_utf_8_is_an_error_of_the_answer(tmp_path: Path) -> None:
    script = r"""
    import json
    from lightning_sdk import Studio
    studio = Studio("bytes")
    studio.start()
    try:
        studio.run(r"touch done; printf '\xff'")
    except Exception as error:
        print(json.dumps([str(error).splitlines()[0], studio.run("ls done"), studio.run(r"printf '\xc3\xa9'")]))
    """
    with LocalCloud(tmp_path / "root", parts={"utf8_output": True}) as cloud:
        message, file, text = answer_of(cloud, script)
    assert "500" in message
    assert (file, text) == ("done", "é")
