//! What a Weir connector is: records in, records out, an honest error in between.
#![forbid(unsafe_code)]
