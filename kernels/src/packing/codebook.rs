//! The codebooks of the sphere packing: the quantiser of least mean square
//! error (Lloyd 1957, Max 1960) for a coordinate of a random point.

/// A coordinate of a random point on the sphere of radius √d has the density
/// f(t) ∝ (1 − t²/d)^((d−3)/2); with growing d it becomes the normal one.
/// Narrower rows than this take the codebook of this width.
const NARROWEST: usize = 16;
/// Points of the numerical integrals.
const POINTS: usize = 1 << 14;

/// The 2^`bits` centroids for rows of `width` numbers, scaled to a sphere of
/// radius √width, ascending.
pub fn codebook(width: usize, bits: usize) -> Vec<f64> {
    let density = Density::new(width.max(NARROWEST));
    let count = 1 << bits;
    let mut centroids: Vec<f64> = (0..count)
        .map(|k| density.quantile((f64::from(k) + 0.5) / f64::from(count)))
        .collect();
    // It converges linearly; this is far beyond what f32 can tell apart.
    for _ in 0..3000 {
        let edges = edges(&density, &centroids);
        let mut moved = 0f64;
        for (centroid, edge) in centroids.iter_mut().zip(edges.windows(2)) {
            let new = density.mean(edge[0], edge[1]);
            moved = moved.max((new - *centroid).abs());
            *centroid = new;
        }
        if moved < 1e-10 {
            break;
        }
    }
    // The density is even; rounding is not.
    let mirrored = centroids.clone();
    for (centroid, other) in centroids.iter_mut().zip(mirrored.iter().rev()) {
        *centroid = 0.5 * (*centroid - other);
    }
    centroids
}

/// Where cells end: half way between centroids.
fn edges(density: &Density, centroids: &[f64]) -> Vec<f64> {
    let middles = centroids.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]));
    let mut edges = vec![-density.reach];
    edges.extend(middles);
    edges.push(density.reach);
    edges
}

/// A density on an even grid, integrated from the left.
struct Density {
    reach: f64,
    /// ∫f and ∫t·f up to each point, the first normalised to 1.
    mass: Vec<f64>,
    moment: Vec<f64>,
}

impl Density {
    fn new(d: usize) -> Self {
        let d = d as f64;
        // Beyond ten standard deviations there is nothing.
        let reach = d.sqrt().min(10.0);
        let at = |i: usize| reach * (2.0 * i as f64 / POINTS as f64 - 1.0);
        let f = |t: f64| (1.0 - t * t / d).max(0.0).powf((d - 3.0) / 2.0);
        let step = 2.0 * reach / POINTS as f64;
        let (mut mass, mut moment) = (vec![0.0], vec![0.0]);
        for i in 0..POINTS {
            let (a, b) = (at(i), at(i + 1));
            mass.push(mass[i] + 0.5 * step * (f(a) + f(b)));
            moment.push(moment[i] + 0.5 * step * (a * f(a) + b * f(b)));
        }
        let total = mass[POINTS];
        let normal = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / total).collect();
        Self {
            reach,
            mass: normal(mass),
            moment: normal(moment),
        }
    }

    /// An integral's value at `t`, between grid points.
    fn value(&self, sums: &[f64], t: f64) -> f64 {
        let place = (t / self.reach + 1.0) * 0.5 * POINTS as f64;
        let index = (place.max(0.0) as usize).min(POINTS - 1);
        let part = place - index as f64;
        sums[index] + part * (sums[index + 1] - sums[index])
    }

    fn mean(&self, from: f64, to: f64) -> f64 {
        let mass = self.value(&self.mass, to) - self.value(&self.mass, from);
        let moment = self.value(&self.moment, to) - self.value(&self.moment, from);
        match mass > 1e-14 {
            true => moment / mass,
            false => 0.5 * (from + to),
        }
    }

    fn quantile(&self, part: f64) -> f64 {
        let index = self.mass.partition_point(|mass| *mass < part);
        self.reach * (2.0 * index as f64 / POINTS as f64 - 1.0)
    }
}
