"""The pages: what people see of the archive, and where they decide what waits.

Rendered on the server; everything works without a script. A page decides nothing: it
asks the views that the interface for programs asks, and takes the same flows. Each has
an address that can be sent to a colleague, and says at what time its facts were true.
"""
