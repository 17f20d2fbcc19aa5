//! respond.io: RE-1 to RE-18.
