/** What the pool's thread does for a round trip. */
export default function echo(value: number): number {
  return value;
}
