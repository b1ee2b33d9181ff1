//! How much memory a decoder may take.
use allocation_counter::measure;

/// Bytes that a decoder may take for each byte of its input: the smallest element of a list has four bytes on the wire,
/// takes some seventy in memory, and lists grow by doubling.
const BYTES_PER_BYTE: usize = 64;

/// Bytes that it may take besides.
const BYTES_BESIDES: usize = 16 << 10;

/// Runs a decoder, and fails if it took more memory at a time than so large an input can account for.
///
/// # Panics
/// If it did, or if the decoder panics.
pub(crate) fn within_bounds(input: usize, decode: impl FnOnce()) {
    let most = BYTES_PER_BYTE * input + BYTES_BESIDES;
    let taken = measure(decode).bytes_max;
    assert!(taken <= most as u64, "{taken} bytes for an input of {input}, which accounts for {most}");
}
