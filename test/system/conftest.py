# SPDX-License-Identifier: MIT
"""Builds what the tests boot, so that `pytest test/system` works by itself too."""
import exo_qemu
import pytest


def pytest_sessionstart(session):
    if not session.config.option.collectonly:
        try:
            exo_qemu.machine.setup("riscv", packages="test")
        except SystemExit:
            pytest.exit("setup failed (see above)", returncode=1)
