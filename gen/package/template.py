"""An instance of the core to copy into a design."""

from gen.emit.core import MODULE
from gen.package.contents import Contents


def template_files(contents: Contents) -> dict[str, str]:
    """The template, by path."""
    ports = contents.ports
    width = max(len(port.name) for port in ports)
    wires = [f"  wire {port.range}{port.name}; // {port.direction}: {port.text}" for port in ports]
    connections = [f"    .{port.name:<{width}} ({port.name})" for port in ports]
    body = [f"  {MODULE} {MODULE}_0 (", ",\n".join(connections), "  );"]
    head = f"// An instance of {MODULE}: copy it into your module and connect the wires."
    return {f"template/{MODULE}.vh": "\n".join([head, *wires, "", *body, ""])}
