// Reads the burnt-in clock of pipeline/simulate/burnin.py from canvas pixels; the layout is written down there.
// readBurnIn({data, width, height}) -> {utcMs, frameNumber} or null. `data` is RGBA, as getImageData gives it.
// An image that is only a part of the picture comes with {x, y, fullWidth, fullHeight}: where it was cut out of what.
(function (root) {
  "use strict";
  const WIDTH = 640, HEIGHT = 360, CELL = 8, COLUMNS = 26, ROWS = 3, MARGIN = 8, MIN_CONTRAST = 60;
  const GRID_X = WIDTH - COLUMNS * CELL - MARGIN, GRID_Y = MARGIN;

  function crc8(bytes) {
    let crc = 0;
    for (const byte of bytes) {
      crc ^= byte;
      for (let i = 0; i < 8; i++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
    }
    return crc;
  }

  function cellMean(image, region, across, down, row, column) {
    const top = (GRID_Y + (row + 0.25) * CELL) * down - region.y;
    const left = (GRID_X + (column + 0.25) * CELL) * across - region.x;
    const y0 = Math.round(top), y1 = Math.max(y0 + 1, Math.round(top + (CELL * down) / 2));
    const x0 = Math.round(left), x1 = Math.max(x0 + 1, Math.round(left + (CELL * across) / 2));
    let sum = 0;
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        const at = (y * image.width + x) * 4;
        sum += 0.299 * image.data[at] + 0.587 * image.data[at + 1] + 0.114 * image.data[at + 2];
      }
    }
    return sum / ((y1 - y0) * (x1 - x0));
  }

  function readBurnIn(image, cut) {
    const region = cut || { x: 0, y: 0, fullWidth: image.width, fullHeight: image.height };
    const across = region.fullWidth / WIDTH, down = region.fullHeight / HEIGHT;
    if (CELL * across < 2 || CELL * down < 2) return null;
    const mean = (row, column) => cellMean(image, region, across, down, row, column);
    const last = COLUMNS - 1;
    const whites = [mean(0, 0), mean(2, 0), mean(1, last)], blacks = [mean(1, 0), mean(0, last), mean(2, last)];
    const average = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const white = average(whites), black = average(blacks), threshold = (white + black) / 2;
    if (white - black < MIN_CONTRAST) return null;
    if (Math.min(...whites) <= threshold || Math.max(...blacks) > threshold) return null;
    const bytes = new Array(9).fill(0);
    for (let row = 0, bit = 0; row < ROWS; row++) {
      for (let column = 1; column < last; column++, bit++) {
        if (mean(row, column) > threshold) bytes[bit >> 3] |= 0x80 >> (bit & 7);
      }
    }
    if (crc8(bytes.slice(0, 8)) !== bytes[8]) return null;
    const utcMs = bytes.slice(0, 6).reduce((value, byte) => value * 256 + byte, 0);
    return { utcMs, frameNumber: bytes[6] * 256 + bytes[7] };
  }

  root.readBurnIn = readBurnIn;
  if (typeof module !== "undefined") module.exports = { readBurnIn };
})(typeof globalThis !== "undefined" ? globalThis : this);
