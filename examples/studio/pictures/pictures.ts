/** The pictures of the user: painted, edited, and photographs that were edited, the newest first. */
import { Observable } from '../../common/observable.ts';
import { isRecord, Shelf } from '../store/shelf.ts';
import { release, thumbnail, type Photo } from './raster.ts';

export interface Picture extends Photo {
  readonly id: string;
  readonly kind: 'painted' | 'edited' | 'photo';
  readonly created: number;
  readonly thumb: Blob;
  /** What was asked for. */
  readonly words: string;
  readonly seed: number | undefined;
  /** The picture that was changed. */
  readonly from: string | undefined;
}

function isPicture(value: unknown): value is Picture {
  return (
    isRecord(value) &&
    typeof value['id'] === 'string' &&
    ['painted', 'edited', 'photo'].includes(String(value['kind'])) &&
    value['blob'] instanceof Blob &&
    value['thumb'] instanceof Blob &&
    typeof value['width'] === 'number' &&
    typeof value['height'] === 'number' &&
    typeof value['created'] === 'number' &&
    typeof value['words'] === 'string'
  );
}

const shelf = new Shelf<Picture>('pictures', isPicture);

export const pictures = new Observable<readonly Picture[]>([]);

export async function openPictures(): Promise<void> {
  pictures.value = [...(await shelf.all())].sort((a, b) => b.created - a.created);
}

export async function keepPicture(
  photo: Photo,
  told: Pick<Picture, 'kind' | 'words' | 'seed' | 'from'>,
): Promise<Picture> {
  const picture: Picture = {
    ...photo,
    ...told,
    id: crypto.randomUUID(),
    created: Date.now(),
    thumb: await thumbnail(photo),
  };
  pictures.value = [picture, ...pictures.value];
  await shelf.put(picture.id, picture);
  return picture;
}

/** Takes a picture away, and returns what puts it back. */
export async function removePicture(id: string): Promise<() => Promise<void>> {
  const gone = pictureOf(id);
  pictures.value = pictures.value.filter((one) => one.id !== id);
  await shelf.remove(id);
  return async () => {
    if (gone === undefined) return;
    pictures.value = [...pictures.value, gone].sort((a, b) => b.created - a.created);
    await shelf.put(gone.id, gone);
  };
}

export async function removeAllPictures(): Promise<void> {
  const all = pictures.value;
  pictures.value = [];
  for (const { id, blob, thumb } of all) {
    await shelf.remove(id);
    release(blob);
    release(thumb);
  }
}

export function pictureOf(id: string | undefined): Picture | undefined {
  return id === undefined ? undefined : pictures.value.find((one) => one.id === id);
}

/** The newest of the pictures that were made of one. */
export function newestEdit(id: string): Picture | undefined {
  return pictures.value.find(({ from }) => from === id);
}

/** From the first picture to this one. */
export function versionsOf(picture: Picture): readonly Picture[] {
  const line: Picture[] = [picture];
  for (let before = pictureOf(picture.from); before !== undefined; before = pictureOf(before.from)) {
    if (line.includes(before)) break;
    line.unshift(before);
  }
  return line;
}
