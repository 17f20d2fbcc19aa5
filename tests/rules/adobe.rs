//! Adobe Dynamic Chat: AD-1 to AD-25.
