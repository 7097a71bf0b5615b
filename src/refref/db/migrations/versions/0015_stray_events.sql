-- Events of accounts that nobody has connected are kept for a while: found by when they came.
create index platform_event_by_received_at on platform_event (received_at);
