// Images in colour: the layers as pictures over each other.
export const planes = {};

export async function createViewer(place) {
  return {
    async show(layers, address) {
      const pictures = layers.map((layer) => {
        const picture = document.createElement("img");
        picture.alt = layer;
        picture.src = address(layer);
        return picture;
      });
      place.replaceChildren(...pictures);
      await Promise.all(pictures.map((picture) => picture.decode()));
    },
    setVisible(visible) {
      for (const picture of place.children) picture.hidden = !visible[picture.alt];
    },
    setPlane() {},
  };
}
