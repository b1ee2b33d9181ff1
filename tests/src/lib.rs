//! What Corral promises, checked from outside.
