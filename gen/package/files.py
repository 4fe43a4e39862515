"""All files of a core's package."""

from gen.package.contents import Contents
from gen.package.datasheet import datasheet_files
from gen.package.projects import project_files
from gen.package.software import software_files
from gen.package.template import template_files
from gen.package.testbench import testbench_files

KINDS = (project_files, testbench_files, template_files, software_files, datasheet_files)


def package_files(contents: Contents) -> dict[str, str]:
    """Everything around the Verilog, by path."""
    return {path: text for kind in KINDS for path, text in kind(contents).items()}
