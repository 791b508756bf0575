"""A real MCP server of the kettle's thermometer, for tests: over stdio, or over HTTP where a port is given."""

from __future__ import annotations

import os
import sys
import time

from mcp.server.fastmcp import FastMCP, Image
from mcp.types import TextContent

PIXEL = bytes.fromhex("89504e470d0a1a0a")


def serve(port: int | None) -> None:
    """Serve until standard input ends, or for ever on `port`."""
    server = FastMCP("thermometer", log_level="WARNING", port=port or 8000)

    @server.tool()
    def temperature(module: str, unit: str = "C") -> str:
        """The temperature of a module of the kettle."""
        if module not in ("heater", "pump"):
            raise ValueError(f"no probe in {module!r}; see {os.path.abspath('probes.txt')}")
        return f"{module}: 61.5 {unit}"

    @server.tool(structured_output=False)
    def picture() -> list[TextContent | Image]:
        """A picture of the dial."""
        return [TextContent(type="text", text="the dial"), Image(data=PIXEL, format="png")]

    @server.tool()
    def reading(module: str) -> dict[str, float]:
        """The reading of a module as an object."""
        return {module: 61.5}

    @server.tool()
    def process() -> str:
        """The server's process."""
        return str(os.getpid())

    @server.tool()
    def variable(name: str) -> str:
        """A variable of the server's environment."""
        return os.environ.get(name, "not set")

    @server.tool()
    def stall(seconds: float) -> str:
        """Stand still: nothing else is answered meanwhile."""
        time.sleep(seconds)
        return "awake"

    @server.tool()
    def die() -> str:
        """End in the middle of the call."""
        os._exit(3)

    server.run("streamable-http" if port else "stdio")


if __name__ == "__main__":
    said = sys.argv[1:]
    if said == ["--broken"]:
        print("cannot read probes.txt", file=sys.stderr)
        sys.exit(1)
    if said == ["--mute"]:
        time.sleep(60)
    serve(int(said[0]) if said else None)
