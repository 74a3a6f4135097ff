//! Are remembered rows found again, whatever becomes of their files?
