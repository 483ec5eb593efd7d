/* Makes large photos smaller before they are sent. The model looks at far fewer pixels: see "Smaller
 * photos" in docs/configuration.md.
 */

const MIN_BYTES = 500_000; // smaller files are sent quickly anyway
const QUALITY = 0.9; // of JPEG

let previous = Promise.resolve(); // one at a time: a decoded photo of 48 megapixels takes 190 MB

/**
 * Returns a JPEG photo scaled to `longestSide` pixels, upright and without metadata; or the file itself, if it is not a
 * large JPEG photo or cannot be scaled.
 */
export function shrunk(file, longestSide) {
  previous = previous.then(() => smaller(file, longestSide));
  return previous;
}

async function smaller(file, longestSide) {
  if (file.type !== "image/jpeg" || file.size <= MIN_BYTES || !isCanvasTrue()) return file;
  let photo;
  try {
    photo = await createImageBitmap(file); // applies the orientation
    const scale = longestSide / Math.max(photo.width, photo.height);
    if (scale >= 1) return file;
    const blob = await encoded(photo, Math.round(photo.width * scale), Math.round(photo.height * scale));
    return blob && blob.size < file.size ? new File([blob], file.name, { type: blob.type }) : file;
  } catch (error) {
    console.warn("Sending the original:", error);
    return file;
  } finally {
    photo?.close();
  }
}

function encoded(photo, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(photo, 0, 0, width, height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}

/** Whether a canvas gives back what was drawn. Some browsers change it, so that it does not identify the visitor. */
function isCanvasTrue() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  for (let x = 0; x < 16; x += 1) {
    context.fillStyle = `rgb(${16 * x} ${255 - 16 * x} 128)`;
    context.fillRect(x, 0, 1, 1);
  }
  const { data } = context.getImageData(0, 0, 16, 1);
  return [...Array(16).keys()].every((x) => data[4 * x] === 16 * x && data[4 * x + 1] === 255 - 16 * x);
}
