import type { Content } from '../core/machine/content.ts';

/** A file's name has so many characters in an id. */
const MOST_NAME = 32;

/** `film.mp4, h264 1920x1080, 1a2b3c4d`: what was shown, and what tells it from another file of that name. */
export const contentWords = ({ name, codec, width, height, digest }: Content): string => `${name}, ${codec} ${width}x${height}, ${digest}`;

/** In the id of a scenario, `content-film.mp4-1a2b3c4d`: one with another file is another scenario. */
export const contentId = ({ name, digest }: Content): string => `content-${name.slice(-MOST_NAME).replaceAll(/[^\w.]/g, '_')}-${digest}`;
