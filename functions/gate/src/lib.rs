//! `gate`: opens an approval and asks the people that its policy names.
