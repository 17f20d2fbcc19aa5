//! Zendesk Chat: ZD-1 to ZD-21.
