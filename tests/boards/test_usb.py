"""Boards on the USB, from folders written as Linux writes them."""

from boards.catalogue import CATALOGUE
from boards.usb import BRIDGES, EMULATED, connected, may_be
from gen import flash
from tests.boards.usb_tree import plug


def two_boards_and_a_mouse(folder):
    plug(
        folder, "1-2", "0403:6015", 23, "ttyUSB1", product="ULX3S FPGA 85K v3.0.8", manufacturer="FER", serial="K00508"
    )
    plug(folder, "1-1", "0403:6010", 7, "ttyUSB0", product="Dual RS232", serial="")
    plug(folder, "1-3", "046d:c077", 4, product="mouse")
    plug(folder, "2-1", "1d50:602b", 5, "ttyACM0", manufacturer="MuseLab", product="DAPLink CMSIS-DAP", serial="0700")


def test_bridges_are_found_and_other_devices_are_not(tmp_path):
    two_boards_and_a_mouse(tmp_path)
    first, second, third = connected(tmp_path)
    assert (first.busdev, first.bridge, first.serial, first.ports) == ("001:007", "FT2232H", "", ("/dev/ttyUSB0",))
    assert (second.busdev, second.title, second.serial) == ("001:023", "FER ULX3S FPGA 85K v3.0.8", "K00508")
    assert second.ports == ("/dev/ttyUSB1",)
    assert (third.busdev, third.ports) == ("002:005", ("/dev/ttyACM0",))
    assert [device.selectable for device in (first, second, third)] == [False, True, False]
    assert "ulx3s_85f" in [board.name for board in may_be(second)]
    assert "tang_nano_9k" in [board.name for board in may_be(first)], "its bridge presents itself as an FT2232"


def test_damaged_entries_are_left_out(tmp_path):
    plug(tmp_path, "1-1", "0403:6010", 7, product="a\x1b[31mb\n" + "c" * 500)
    plug(tmp_path, "1-2", "0403:6010", 8)
    (tmp_path / "1-2" / "devnum").write_text("eight")
    (tmp_path / "1-3").mkdir()
    (found,) = connected(tmp_path)
    assert found.title.isprintable()
    assert len(found.title) < 100
    assert connected(tmp_path / "none") == []


def test_every_serial_line_has_a_known_bridge():
    bridges = {EMULATED.get(board.uart.bridge, board.uart.bridge) for board in CATALOGUE.values() if board.uart}
    assert bridges <= set(BRIDGES.values())


def test_flash_lists_what_is_plugged_in_and_how_to_choose_it(tmp_path, capsys):
    assert flash.list_plugged(tmp_path) == 0
    assert "no board is plugged in" in capsys.readouterr().out
    two_boards_and_a_mouse(tmp_path)
    assert flash.list_plugged(tmp_path) == 0
    said = capsys.readouterr().out
    assert "--serial K00508; boards with this chip: ulx3s_12f" in said
    assert "--busdev 001:007" in said
    assert "mouse" not in said
