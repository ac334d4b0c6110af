//! Extractors that refuse in the words of the interface they serve.

/// Defines an extractor around any other whose refusals a function puts into other words.
macro_rules! worded_extractor {
    ($(#[$meta:meta])* $name:ident, $words:path) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<T>(pub T);

        impl<T> actix_web::FromRequest for $name<T>
        where
            T: actix_web::FromRequest<Error = chassis::http::ApiError> + 'static,
        {
            type Error = chassis::http::ApiError;
            type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

            fn from_request(
                request: &actix_web::HttpRequest,
                payload: &mut actix_web::dev::Payload,
            ) -> Self::Future {
                let extracting = T::from_request(request, payload);
                Box::pin(async move { extracting.await.map(Self).map_err($words) })
            }
        }
    };
}

pub(crate) use worded_extractor;
