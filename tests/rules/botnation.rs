//! Botnation: BO-1 to BO-35.
