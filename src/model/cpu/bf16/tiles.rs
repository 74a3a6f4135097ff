//! How do tiles multiply pairs of bf16? AMX holds 16 rows of 64 bytes in a register and multiplies two of those at once.
//!
//! Up to 32 rows by 32 columns of the result stay in four tiles; rows and panels lie as they do for vectors. A row's bits do not
//! depend on how many rows go with it.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

use crate::model::cpu::product::Product;

/// Rows of a tile.
const HIGH: usize = 16;
/// Bytes of a tile's row: 16 pairs, or 16 f32.
const LINE: usize = 64;
/// Columns of a panel: two tiles side by side.
const WIDE: usize = 32;
/// Pairs that two tiles multiply: the rows of the one, a line of the other.
const PAIRS: usize = 16;

/// Whether the processor, one with AVX-512, has such tiles and the system lets this process use them, which it is asked for once.
pub(super) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        const TILES_OF_BF16: u32 = 1 << 22 | 1 << 24;
        __cpuid_count(7, 0).edx & TILES_OF_BF16 == TILES_OF_BF16 && permitted()
    })
}

/// Asks Linux for the tiles' state; a kernel that knows no tiles says no.
#[expect(unsafe_code, reason = "there is no safe call for it")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let answer: i64;
    // SAFETY: the call reads and writes no memory of this process.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// The shapes of the eight tiles: four of sums, two of rows, two of panels.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// For `count` rows, at most two tiles of them.
    fn new(count: usize) -> Self {
        let (top, bottom) = (count.min(HIGH) as u8, count.saturating_sub(HIGH) as u8);
        let mut rows = [0; 16];
        rows[..8].copy_from_slice(&[top, top, bottom, bottom, top, bottom, PAIRS as u8, PAIRS as u8]);
        // a tile without rows has no bytes either
        let bytes = rows.map(|rows| if rows == 0 { 0 } else { LINE as u16 });
        Shapes { palette: 1, start: 0, reserved: [0; 14], bytes, rows }
    }
}

/// `product` of pairs.
///
/// # Panics
/// Where [`available`] is false, or a slice is too short.
#[expect(
    unsafe_code,
    reason = "no library multiplies tiles; what they read and write is held against the slices first"
)]
pub(super) fn times(x: &[u32], panels: &[u32], product: Product<'_>) {
    assert!(available(), "tiles of bf16 on a machine without them");
    let Product { x_stride, count, panel_stride, depth, bias, out, out_stride, .. } = product;
    let (x_stride, panel_stride, steps) = (x_stride / 2, panel_stride / 2, depth / 2 / PAIRS);
    let columns = bias.len() / WIDE;
    if count == 0 || columns == 0 {
        return;
    }
    assert!(steps > 0 && (count - 1) * x_stride + steps * PAIRS <= x.len(), "rows of whole steps");
    assert!((columns - 1) * panel_stride + steps * PAIRS * WIDE <= panels.len(), "panels of whole steps");
    assert!((count - 1) * out_stride + columns * WIDE <= out.len(), "place for the result");
    let whole = count / (2 * HIGH) * (2 * HIGH);
    for (rows, high) in [(0..whole, 2 * HIGH), (whole..count, count - whole)] {
        if rows.is_empty() {
            continue;
        }
        let shapes = Shapes::new(high);
        // SAFETY: `shapes` is the 64 bytes that the instruction reads; `available` says that it is there.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly)) };
        for column in 0..columns {
            for row in rows.clone().step_by(high) {
                let place = Place {
                    x: x[row * x_stride..].as_ptr(),
                    x_bytes: x_stride * size_of::<u32>(),
                    panel: panels[column * panel_stride..].as_ptr(),
                    steps,
                    bias: bias[column * WIDE..].as_ptr(),
                    out: out[row * out_stride + column * WIDE..].as_mut_ptr(),
                    out_bytes: out_stride * size_of::<f32>(),
                };
                // SAFETY: `high` rows from `row` on, `steps` of each, the panel and its bias, and their place in `out` lie inside the
                // slices, as was asserted; the tiles have the shapes for `high` rows.
                unsafe {
                    if high > HIGH {
                        place.two();
                    } else {
                        place.one();
                    }
                }
            }
        }
    }
    // SAFETY: nothing is in the tiles any more.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Where the rows, the panel and the result of a few tiles lie.
struct Place {
    x: *const u32,
    x_bytes: usize,
    panel: *const u32,
    steps: usize,
    bias: *const f32,
    out: *mut f32,
    out_bytes: usize,
}

impl Place {
    /// Two tiles of rows: the second begins 16 rows below.
    #[expect(unsafe_code, reason = "instructions that Rust has no function for")]
    unsafe fn two(self) {
        // SAFETY: the caller's.
        unsafe {
            asm!(
                // every row of the sums begins with the bias: the distance from row to row is none
                "tileloadd tmm0, [{bias} + {none}*1]",
                "tileloadd tmm1, [{bias} + {none}*1 + 64]",
                "tileloadd tmm2, [{bias} + {none}*1]",
                "tileloadd tmm3, [{bias} + {none}*1 + 64]",
                "2:",
                "tileloadd tmm4, [{top} + {x_bytes}*1]",
                "tileloadd tmm6, [{panel} + {line}*1]",
                "tileloadd tmm7, [{panel} + {line}*1 + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{bottom} + {x_bytes}*1]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {top}, 64",
                "add {bottom}, 64",
                "add {panel}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{out} + {out_bytes}*1], tmm0",
                "tilestored [{out} + {out_bytes}*1 + 64], tmm1",
                "tilestored [{below} + {out_bytes}*1], tmm2",
                "tilestored [{below} + {out_bytes}*1 + 64], tmm3",
                bias = in(reg) self.bias,
                none = in(reg) 0usize,
                top = inout(reg) self.x => _,
                bottom = inout(reg) self.x.byte_add(HIGH * self.x_bytes) => _,
                x_bytes = in(reg) self.x_bytes,
                panel = inout(reg) self.panel => _,
                line = in(reg) 2 * LINE,
                steps = inout(reg) self.steps => _,
                out = in(reg) self.out,
                below = in(reg) self.out.byte_add(HIGH * self.out_bytes),
                out_bytes = in(reg) self.out_bytes,
                options(nostack),
            );
        }
    }

    /// One tile of rows.
    #[expect(unsafe_code, reason = "instructions that Rust has no function for")]
    unsafe fn one(self) {
        // SAFETY: the caller's.
        unsafe {
            asm!(
                "tileloadd tmm0, [{bias} + {none}*1]",
                "tileloadd tmm1, [{bias} + {none}*1 + 64]",
                "2:",
                "tileloadd tmm4, [{top} + {x_bytes}*1]",
                "tileloadd tmm6, [{panel} + {line}*1]",
                "tileloadd tmm7, [{panel} + {line}*1 + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {top}, 64",
                "add {panel}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{out} + {out_bytes}*1], tmm0",
                "tilestored [{out} + {out_bytes}*1 + 64], tmm1",
                bias = in(reg) self.bias,
                none = in(reg) 0usize,
                top = inout(reg) self.x => _,
                x_bytes = in(reg) self.x_bytes,
                panel = inout(reg) self.panel => _,
                line = in(reg) 2 * LINE,
                steps = inout(reg) self.steps => _,
                out = in(reg) self.out,
                out_bytes = in(reg) self.out_bytes,
                options(nostack),
            );
        }
    }
}
