"""The name of a message type into its class, or into a line that says what to install."""

from __future__ import annotations

import pytest

from edgetwin.errors import RosTypeError
from edgetwin.ros.types import message_class


def test_a_name_gives_its_class() -> None:
    """Of an installed package."""
    messages = pytest.importorskip("nav_msgs.msg", exc_type=ImportError)

    assert message_class("nav_msgs/msg/Odometry") is messages.Odometry


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Odometry",
        "nav_msgs/Odometry",
        "nav_msgs/srv/GetMap",
        "nav_msgs/msg/odometry",
        "nav_msgs.msg.Odometry",
        "nav_msgs/msg/Odometry/x",
        "../msg/Odometry",
        "nav_msgs/msg/Odometry\n",
    ],
)
def test_what_is_no_name_says_how_to_write_one(name: str) -> None:
    """With an example."""
    with pytest.raises(RosTypeError) as refused:
        message_class(name)

    assert "package/msg/Name" in refused.value.cure
    assert refused.value.type_name == name


def test_a_missing_package_is_named_with_both_ways_to_install_it() -> None:
    """On a robot and on a desk."""
    with pytest.raises(RosTypeError) as refused:
        message_class("no_such_msgs/msg/Thing")

    assert "no_such_msgs is not installed" in refused.value.what
    assert "apt install ros-$ROS_DISTRO-no-such-msgs" in refused.value.cure
    assert "pip install ros-no-such-msgs" in refused.value.cure


def test_a_missing_message_of_an_installed_package_says_so() -> None:
    """The name is wrong, not the installation."""
    pytest.importorskip("std_msgs.msg", exc_type=ImportError)

    with pytest.raises(RosTypeError, match="has no message Strin"):
        message_class("std_msgs/msg/Strin")


@pytest.mark.parametrize("name", ["json/msg/Decoder", "os/msg/Path", "email/msg/Message"])
def test_a_python_package_that_is_no_ros_package_is_refused(name: str) -> None:
    """Its name fits, nothing else does."""
    with pytest.raises(RosTypeError):
        message_class(name)


def test_a_package_that_is_there_and_does_not_load_is_a_type_error(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shared library is missing: a robot where setup.sh was not sourced."""
    package = tmp_path / "broken_msgs" / "msg"  # type: ignore[operator]
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("raise ImportError('libbroken.so: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(RosTypeError, match="libbroken"):
        message_class("broken_msgs/msg/Thing")
