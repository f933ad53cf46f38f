"""The HTTP API: route table, request pipeline, request and response schemas, handlers and API documentation."""
