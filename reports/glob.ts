/**
 * Whether `glob` stands for all of `name`: `*` for any characters, `/` among them, `?` for one. Takes at most the product of
 * the two lengths; a regular expression of many stars takes for ever, and no Ctrl-C ends it.
 */
export function matchesGlob(glob: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let taken = 0;
  for (let i = 0; i < name.length; ) {
    if (glob[at] === '*') {
      star = at++;
      taken = i;
    } else if (at < glob.length && (glob[at] === '?' || glob[at] === name[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      // The last star takes one character more; those before it need not.
      at = star + 1;
      i = ++taken;
    } else {
      return false;
    }
  }
  while (glob[at] === '*') at++;
  return at === glob.length;
}
