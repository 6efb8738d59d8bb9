// Pictures on canvases. Small ones are enlarged without blurring.

/** Draws RGBA bytes. */
export function showPixels(canvas, data, width, height) {
  canvas.width = width;
  canvas.height = height;
  canvas.classList.toggle('small', width < 200);
  canvas.getContext('2d').putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
}

/** Draws what a file holds, at most 512 pixels a side. */
export async function showFile(canvas, file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, 512 / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.classList.toggle('small', canvas.width < 200);
  canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
}

export function copyOf(canvas) {
  const copy = document.createElement('canvas');
  copy.width = canvas.width;
  copy.height = canvas.height;
  copy.className = canvas.className;
  copy.getContext('2d').drawImage(canvas, 0, 0);
  return copy;
}

/** A picture as a file, for the places that take files. */
export async function fileOf(picture, name) {
  return new File([await picture.toPng()], name, { type: 'image/png' });
}
