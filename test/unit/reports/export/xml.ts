/** An XML element as far as the exports' tests need one: no namespaces, no CDATA. */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  text: string;
}

const TOKEN = /<\?[^>]*\?>|<\/([\w-]+)>|<([\w-]+)((?:\s+[\w-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y;

/** @throws Error what is not well-formed: a stray character, an element not closed, more than one root */
export function parseXml(source: string): Element {
  const root: Element = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(source);
    if (found === null) throw new Error(`not well-formed at ${source.slice(at, at + 60)}`);
    const [, closing, opening, attributes = '', empty, text] = found;
    const top = open[open.length - 1];
    if (text !== undefined) top.text += decode(text);
    if (closing !== undefined) {
      if (closing !== top.name) throw new Error(`</${closing}> closes <${top.name}>`);
      open.pop();
    }
    if (opening !== undefined) {
      const element: Element = { name: opening, attributes: {}, children: [], text: '' };
      for (const [, name, value] of attributes.matchAll(/([\w-]+)="([^"]*)"/g)) {
        if (name in element.attributes) throw new Error(`${name} twice`);
        element.attributes[name] = decode(value);
      }
      top.children.push(element);
      if (empty === '') open.push(element);
    }
  }
  if (open.length !== 1 || root.children.length !== 1) throw new Error('not one closed root');
  return root.children[0];
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decode(text: string): string {
  return text.replaceAll(/&(\w*);?/g, (whole, name: string) => {
    const character = ENTITIES[name];
    if (character === undefined || !whole.endsWith(';')) throw new Error(`stray ${whole}`);
    return character;
  });
}
