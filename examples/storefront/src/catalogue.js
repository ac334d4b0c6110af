// What the shop sells. Prices are in euro cents, as everywhere in this app.
export const currency = "EUR";

export const catalogue = [
  { id: "mug", name: "Mug", description: "Holds a third of a litre of tea.", price: 1200 },
  { id: "notebook", name: "Notebook", description: "A hundred dotted pages.", price: 850 },
  { id: "poster", name: "Poster", description: "A harbour at dawn, 50 by 70 cm.", price: 2400 },
  { id: "sticker", name: "Sticker", description: "A small boat.", price: 150 },
];
