//! Do rows come to the same bits, whichever way they came?
