//! Bytes to primitives, never reading or allocating beyond the frame.

use bytes::{Buf, Bytes};

use crate::Text;

/// The bytes are not the record they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not the record they should be")]
pub struct Malformed;

/// Reads primitives off a frame, sharing its buffer.
#[derive(Clone, Debug)]
pub struct Reader(Bytes);

impl Reader {
    /// A reader of this frame.
    pub const fn new(frame: Bytes) -> Self {
        Self(frame)
    }

    /// What has not been read yet.
    pub fn rest(self) -> Bytes {
        self.0
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte; any but zero is true.
    ///
    /// # Errors
    /// [`Malformed`] if there is none.
    pub fn boolean(&mut self) -> Result<bool, Malformed> {
        self.0.try_get_u8().map(|byte| byte != 0).map_err(|_| Malformed)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`Malformed`] if there are fewer.
    pub fn int(&mut self) -> Result<i32, Malformed> {
        self.0.try_get_i32().map_err(|_| Malformed)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`Malformed`] if there are fewer.
    pub fn long(&mut self) -> Result<i64, Malformed> {
        self.0.try_get_i64().map_err(|_| Malformed)
    }

    /// A length and that many bytes; -1 is null, which is not the same as empty.
    ///
    /// # Errors
    /// [`Malformed`] if the length is another negative number, or more than there is.
    pub fn buffer(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.int()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                if length > self.0.len() {
                    return Err(Malformed);
                }
                Ok(Some(self.0.split_to(length)))
            }
        }
    }

    /// A buffer that holds text. A malformed sequence becomes U+FFFD, as Java's reader does; that character is not
    /// legal in a path, so such a path is refused where paths are checked.
    ///
    /// # Errors
    /// As [`Self::buffer`].
    pub fn nullable_text(&mut self) -> Result<Option<Text>, Malformed> {
        Ok(self.buffer()?.map(|bytes| match Text::try_from(bytes.clone()) {
            Ok(text) => text,
            Err(_) => String::from_utf8_lossy(&bytes).into_owned().into(),
        }))
    }

    /// Text where null has no meaning.
    ///
    /// # Errors
    /// As [`Self::buffer`], and if it is null.
    pub fn text(&mut self) -> Result<Text, Malformed> {
        self.nullable_text()?.ok_or(Malformed)
    }

    /// A count and that many elements; -1 is null, other negative counts are an empty list, as in Java.
    ///
    /// # Errors
    /// [`Malformed`] if an element is, or if the count is more than could stand in the bytes that are left.
    pub fn vector<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        match self.int()? {
            -1 => Ok(None),
            count => {
                let count = usize::try_from(count).unwrap_or(0);
                // The smallest element is a length prefix, four bytes: a larger count cannot be true, and room for
                // it is not taken.
                if count > self.0.len() / 4 {
                    return Err(Malformed);
                }
                (0..count).map(|_| element(self)).collect::<Result<_, _>>().map(Some)
            }
        }
    }
}
